export { type AccessOptions, contractAccess } from "./access.js";
export { attachToken } from "./attach-token.js";
export {
  type Caller,
  currentCaller,
  requireDelegate,
  requireOwner,
  requireSupport,
} from "./caller.js";
export { IssuerAway } from "./issuer.js";
export { OwnTokens, type OwnTokensOptions } from "./own-tokens.js";
export { InvalidToken, type Token } from "./token.js";
export { TokenVerifier, type TokenVerifierOptions } from "./verifier.js";
