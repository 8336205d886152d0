import { expect, test } from "vitest";
import { Mailbox } from "./mailbox.js";

async function read<Letter>(mailbox: Mailbox<Letter>): Promise<Letter[]> {
  const letters: Letter[] = [];
  for await (const letter of mailbox) letters.push(letter);
  return letters;
}

test("letters are read in the order they were posted, and after the last the reading ends", async () => {
  const mailbox = new Mailbox<number>();
  const reading = read(mailbox);
  await mailbox.post(1);
  await mailbox.post(2);
  mailbox.close();
  expect(await reading).toEqual([1, 2]);
});

test("of letters that replace each other a slow reader gets the latest, in its place", async () => {
  const mailbox = new Mailbox<string>();
  mailbox.replace("stock 1");
  await mailbox.post("answer");
  mailbox.replace("stock 2");
  mailbox.replace("stock 3");
  mailbox.close();
  expect(await read(mailbox)).toEqual(["answer", "stock 3"]);
});

test("who posts waits while too many letters wait to be read", async () => {
  const mailbox = new Mailbox<number>();
  let posted = 0;
  const posting = (async () => {
    for (; posted < 100; posted++) await mailbox.post(posted);
    mailbox.close();
  })();
  await new Promise(setImmediate);
  expect(posted).toBeLessThan(20);
  expect(await read(mailbox)).toHaveLength(100);
  await posting;
});

test("a failure ends the reading at once, and whoever waits to post goes on", async () => {
  const mailbox = new Mailbox<number>();
  const posting = Promise.all(Array.from({ length: 30 }, (_, index) => mailbox.post(index)));
  mailbox.fail(new Error("gone"));
  await expect(read(mailbox)).rejects.toThrow("gone");
  await posting;
});
