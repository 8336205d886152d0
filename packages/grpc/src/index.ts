export type { Client, HandlerContext, Interceptor, ServiceImpl } from "@connectrpc/connect";
export { Code, ConnectError, createRouterTransport } from "@connectrpc/connect";
export type {
  Attempt,
  AttemptKind,
  ClientCall,
  ClientObserver,
  FinishedAttempt,
  FinishedClientCall,
} from "./attempts.js";
export { loadReports, type LoadReportOptions } from "./balancing/load-reports.js";
export {
  type BalancingOptions,
  defaultOutlierDetection,
  type LoadBalancing,
  type OutlierDetection,
} from "./balancing/options.js";
export { type CallContext, currentCall, outliveCall } from "./call-context.js";
export { clientMetrics } from "./client-metrics.js";
export {
  createGrpcClient,
  createGrpcTransport,
  type GrpcClient,
  type GrpcClientOptions,
} from "./client.js";
export { GrpcController } from "./controller.js";
export type { CallOrigin, DeprecatedCallsOptions } from "./deprecation.js";
export { type EngineClock, realTime } from "./engine-clock.js";
export {
  type AwayCheck,
  type ErrorLog,
  GrpcExceptionFilter,
  toConnectError,
} from "./exceptions.js";
export {
  createFailure,
  type DetailInit,
  engineFailure,
  type Failure,
  findDetail,
  reasonOf,
  shortName,
} from "./failure.js";
export { drillInterceptors, faultPointsOf } from "./drill.js";
export { type Fault, FaultInjection, FAULTS_SWITCH } from "./faults.js";
export type { Dependency, DependencyCheck, Health } from "./health.js";
export {
  clientToken,
  GrpcClientModule,
  type GrpcClientRegistration,
  InjectClient,
} from "./inject.js";
export { defaultLimits, type ServerLimits } from "./limits.js";
export { GrpcModule } from "./module.js";
export {
  callLog,
  type CallLogSink,
  callMetrics,
  type CallObserver,
  codeName,
  type FinishedCall,
} from "./observe.js";
export { type MethodPolicy, policyOf } from "./policy.js";
export { GrpcServer, type GrpcServerOptions, ListenError } from "./server.js";
export { defaultShedding, type SheddingLimits } from "./shedding.js";
export type { Refusal, Refusals } from "./refusals.js";
export { serviceConfig } from "./service-config.js";
export { serviceNameOf, spiffeId, TRUST_DOMAIN } from "./spiffe.js";
export type { ClientTls, TlsMaterial, TlsSource } from "./tls.js";
export {
  type FileTlsSource,
  TlsFileError,
  type TlsFiles,
  tlsFromEnvironment,
  tlsFromFiles,
} from "./tls-files.js";
export { validateMessage } from "./validation.js";
