// Opens the payments service from its proto files, with the channel options that were found to work.
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import grpc from "@grpc/grpc-js";
import protoLoader from "@grpc/proto-loader";

const PROTO = process.env.PAYMENTS_PROTO ?? fileURLToPath(new URL("../../proto", import.meta.url));
const FILES = ["payments/v1/payments.proto", "payments/v1/operations.proto"];

export function openPayments(target = process.env.PAYMENTS_TARGET ?? "127.0.0.1:50051") {
  const definition = protoLoader.loadSync(FILES, {
    includeDirs: [PROTO],
    keepCase: true,
    longs: String, // minor units and positions are int64: a JavaScript number would round them
    enums: String,
    defaults: true,
    oneofs: true,
  });
  const { v1 } = grpc.loadPackageDefinition(definition).payments;
  const credentials = process.env.PAYMENTS_CA
    ? grpc.credentials.createSsl(readFileSync(process.env.PAYMENTS_CA))
    : grpc.credentials.createInsecure();
  const options = {
    "grpc.keepalive_time_ms": 15_000, // the service permits one ping in 10 s
    "grpc.keepalive_timeout_ms": 5_000,
    "grpc.keepalive_permit_without_calls": 1,
  };
  return {
    payments: new v1.Payments(target, credentials, options),
    operations: new v1.Operations(target, credentials, options),
  };
}

export function metadata() {
  const carried = new grpc.Metadata();
  if (process.env.PAYMENTS_TOKEN) carried.set("authorization", `Bearer ${process.env.PAYMENTS_TOKEN}`);
  return carried;
}

// A durable subscriber is made once; afterwards it is there.
export function createSubscriber(operations, subscriber, start) {
  return new Promise((resolve, reject) => {
    operations.CreateSubscriber({ subscriber, start }, metadata(), (error) => {
      if (error && error.code !== grpc.status.ALREADY_EXISTS) reject(error);
      else resolve();
    });
  });
}
