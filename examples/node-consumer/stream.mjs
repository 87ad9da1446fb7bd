// Follows the stream with a cursor of our own: cut and opened again as often as it takes, each event once and in order.
// Usage: node stream.mjs [events to read]
import { setTimeout as sleep } from "node:timers/promises";
import { openPayments, metadata } from "./payments.mjs";

const FINAL = new Set([3, 5, 7, 9, 11, 12, 16]); // what the same call would be refused with again
const wanted = Number(process.argv[2] ?? Infinity);
const { payments } = openPayments();
let cursor; // keep it with what you do, to go on after a restart
let seen = 0;

function follow() {
  return new Promise((resolve) => {
    const start = cursor ? { cursor } : { earliest: true };
    const call = payments.StreamFulfillments({ start }, metadata());
    let silence;
    const heard = (seconds) => {
      clearTimeout(silence);
      silence = setTimeout(() => call.cancel(), seconds * 2500);
    };
    let heartbeat = 15;
    call.on("data", (response) => {
      if (response.opened) heartbeat = Number(response.opened.heartbeat_interval.seconds) || heartbeat;
      heard(heartbeat);
      for (const event of response.events) {
        if (seen === wanted) break;
        console.log(`${event.type} ${event.order_id} v${event.order_version}`);
        cursor = event.cursor;
        seen += 1;
      }
      if (seen === wanted) call.cancel();
      else cursor = response.cursor; // it has passed what did not match, too
    });
    const end = (error) => {
      clearTimeout(silence);
      resolve(error);
    };
    call.on("error", end);
    call.on("end", () => end());
    heard(heartbeat);
  });
}

for (let failures = 0; seen < wanted; failures += 1) {
  const before = seen;
  const error = await follow();
  if (seen === wanted) break;
  if (error && FINAL.has(error.code)) throw error;
  if (seen > before) failures = 0;
  await sleep(Math.random() * Math.min(10_000, 200 * 2 ** failures));
}
payments.close();
