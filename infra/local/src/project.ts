import { resolve } from "node:path";

/** The checkout that this file is part of; the same from `src/` and from `dist/`. */
export const projectDirectory = resolve(import.meta.dirname, "../../..");

/** What programs of this project write for themselves. Deleting it costs time, and the shop's data. */
export const stateDirectory = resolve(projectDirectory, ".emporium");
