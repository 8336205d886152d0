import { setTimeout as delay } from "node:timers/promises";
import { movableEngineClock } from "@emporium/grpc/testing";
import { expect, test } from "vitest";
import { InvalidToken, TokenVerifier } from "../src/index.js";
import { PublishedKeys } from "./published-keys.js";

async function published(...kids: string[]): Promise<PublishedKeys> {
  const keys = await PublishedKeys.start();
  for (const kid of kids) await keys.add(kid);
  return keys;
}

const outcomeOf = (verified: Promise<unknown>) =>
  verified.then(
    () => "taken",
    (error: unknown) => (error instanceof InvalidToken ? "refused" : "broken"),
  );

test("a flood of unknown key ids fails no token while keys rotate, nor floods the issuer", async () => {
  await using keys = await published("first");
  const reloading = { cooldownMs: 200, reloadMs: 60_000 };
  using verifier = new TokenVerifier({ issuer: keys.issuer, audience: "emporium", reloading });
  await verifier.ready();
  const started = performance.now();
  const made: Promise<string>[] = [];
  const good: Promise<string>[] = [];
  for (let round = 0; round < 10; round++) {
    const kid = `rotated-${round}`;
    await keys.add(kid);
    if (round > 1) keys.remove(`rotated-${round - 2}`);
    const forged = await keys.sign(kid, `made-up-${round}`);
    const [header, ...rest] = forged.split(".");
    for (let i = 0; i < 100; i++) {
      const named = header && JSON.parse(Buffer.from(header, "base64url").toString());
      const other = Buffer.from(JSON.stringify({ ...named, kid: `${named.kid}-${i}` }));
      made.push(outcomeOf(verifier.verify([other.toString("base64url"), ...rest].join("."))));
    }
    good.push(outcomeOf(verifier.verify(await keys.sign(kid))));
    good.push(outcomeOf(verifier.verify(await keys.sign("first"))));
    // What comes with a key is verified before that key is removed, two rounds later.
    await Promise.all(good);
  }
  expect(new Set(await Promise.all(made))).toEqual(new Set(["refused"]));
  expect(new Set(await Promise.all(good))).toEqual(new Set(["taken"]));
  const cooldowns = (performance.now() - started) / reloading.cooldownMs;
  expect(keys.fetches).toBeLessThanOrEqual(Math.ceil(cooldowns) + 1);
});

test("a key that the issuer removed is refused within a minute, also where its token was taken before", async () => {
  await using keys = await published("old", "new");
  const clock = movableEngineClock();
  using verifier = new TokenVerifier({ issuer: keys.issuer, audience: "emporium", clock });
  const jwt = await keys.sign("old");
  await verifier.verify(jwt);
  keys.remove("old");
  expect(await outcomeOf(verifier.verify(jwt))).toBe("taken");
  clock.advance(30_000);
  await expect.poll(() => keys.fetches).toBe(2);
  // Its key id is unknown by now, so the verifier looks once more before it says no.
  const outcome = outcomeOf(verifier.verify(jwt));
  await expect
    .poll(() => (clock.advance(1_000), Promise.race([outcome, delay(10, "open")])))
    .toBe("refused");
  expect(await outcomeOf(verifier.verify(await keys.sign("new")))).toBe("taken");
});

test("an issuer that is away leaves the keys as they are", async () => {
  await using keys = await published("only");
  const clock = movableEngineClock();
  const errors: unknown[] = [];
  const options = { issuer: keys.issuer, audience: "emporium", clock };
  using verifier = new TokenVerifier({ ...options, onError: (error) => errors.push(error) });
  await verifier.ready();
  keys.away = true;
  clock.advance(30_000);
  await expect.poll(() => errors.length).toBe(1);
  expect(await outcomeOf(verifier.verify(await keys.sign("only")))).toBe("taken");
});

test("a verifier that started before its issuer is not ready, and is when it comes", async () => {
  await using keys = await published("only");
  keys.away = true;
  const reloading = { cooldownMs: 20, reloadMs: 60_000 };
  using verifier = new TokenVerifier({ issuer: keys.issuer, audience: "emporium", reloading });
  await expect(verifier.ready()).rejects.toThrow("503");
  keys.away = false;
  await expect.poll(() => outcomeOf(verifier.ready())).toBe("taken");
});

test("keys that another issuer gives are not taken", async () => {
  await using keys = await published("only");
  const issuer = keys.issuer.replace("127.0.0.1", "localhost");
  using verifier = new TokenVerifier({ issuer, audience: "emporium" });
  await expect(verifier.ready()).rejects.toThrow("speaks for");
});
