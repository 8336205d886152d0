import type { Interceptor } from "@connectrpc/connect";
import { type Fault, FaultInjection, FAULTS_SWITCH } from "./faults.js";

/** Environment variable with rules for `FaultInjection`, as JSON. */
const RULES = "GRPC_FAULTS";

/**
 * Named places around the work of these methods: before it, and when it is done but not answered.
 *
 * @example
 * faultPointsOf("ReserveStock"); // ["before-ReserveStock", "after-ReserveStock"]
 */
export function faultPointsOf(...methods: string[]): string[] {
  return methods.flatMap((method) => [`before-${method}`, `after-${method}`]);
}

/**
 * What a server needs for drills, as its outermost interceptors: the places of `faultPointsOf`, where
 * the process is given a function to call there, and the faults of `GRPC_FAULTS`, where
 * `GRPC_FAULT_INJECTION` is `on`. None of it is there unless it is switched on.
 *
 * @example
 * new GrpcServer({ ..., interceptors: drillInterceptors(config.faultPoint) });
 */
export function drillInterceptors(
  faultPoint?: (name: string) => void | Promise<void>,
  environment: Record<string, string | undefined> = process.env,
): Interceptor[] {
  const places: Interceptor = (next) => async (request) => {
    await faultPoint?.(`before-${request.method.name}`);
    const answer = await next(request);
    await faultPoint?.(`after-${request.method.name}`);
    return answer;
  };
  const rules = environment[FAULTS_SWITCH] === "on" ? environment[RULES] : undefined;
  return [
    ...(rules ? [new FaultInjection(JSON.parse(rules) as Fault[]).interceptor] : []),
    ...(faultPoint ? [places] : []),
  ];
}
