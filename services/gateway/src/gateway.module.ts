// The Nest module of the gateway.
import { type DynamicModule, Module } from "@nestjs/common";

@Module({})
export class GatewayModule {
  static with(): DynamicModule {
    return { module: GatewayModule };
  }
}
