import "reflect-metadata";
import { readFileSync } from "node:fs";
import type { AddressInfo } from "node:net";
import { Certificates } from "@emporium/local";
import { type INestApplication, Module } from "@nestjs/common";
import { NestFactory } from "@nestjs/core";
import { ExpressAdapter } from "@nestjs/platform-express";
import { FastifyAdapter, type NestFastifyApplication } from "@nestjs/platform-fastify";
import { served } from "../rpc/served.js";
import { RestOrders } from "./orders.js";

/** Nest's HTTP side with mTLS, as its documentation shows it, on Express or on Fastify. */
@Module({ controllers: [RestOrders] })
class App {}

const [platform, folder = ""] = process.argv.slice(2);
const files = await (await Certificates.open(folder)).filesOf("orders");
const https = {
  ca: readFileSync(files.caFile),
  cert: readFileSync(files.certFile),
  key: readFileSync(files.keyFile),
  requestCert: true,
};
const options = { logger: ["error"] as "error"[] };
const app: INestApplication =
  platform === "fastify"
    ? await NestFactory.create<NestFastifyApplication>(App, new FastifyAdapter({ https }), options)
    : await NestFactory.create(App, new ExpressAdapter(), { ...options, httpsOptions: https });
await app.listen(0, "127.0.0.1");
served((app.getHttpServer().address() as AddressInfo).port);
