// Lets Node run the sources as they are: their imports name the files that the build makes of them.
import { registerHooks } from "node:module";

registerHooks({
  resolve(specifier, context, next) {
    const fromSource = context.parentURL?.endsWith(".ts") && specifier.startsWith(".");
    return next(fromSource ? specifier.replace(/\.js$/, ".ts") : specifier, context);
  },
});
