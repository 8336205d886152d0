import { registerHooks } from "node:module";

// For `node --import`: sources name each other by what they are compiled to, and run uncompiled here.
registerHooks({
  resolve(specifier, context, nextResolve) {
    const isOurs = specifier.startsWith(".") && context.parentURL?.endsWith(".ts");
    return nextResolve(isOurs ? specifier.replace(/\.js$/, ".ts") : specifier, context);
  },
});
