export { decode, encode } from "./codec.js";
