// Works through a durable subscriber: one event after the other of an order, acknowledged when it is done.
// The service keeps the place; start this as often as you like, with one name, and the replicas share the work.
import { hostname } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import { openPayments, metadata, createSubscriber } from "./payments.mjs";

const NAME = process.env.PAYMENTS_SUBSCRIBER ?? "node-consumer";
const CREDIT = 32;
const HEARTBEAT = 5; // seconds; two and a half of silence are an end
const FINAL = new Set([3, 5, 7, 9, 11, 12, 16]); // what the same call would be refused with again

// Yours. It may get an event twice: keep its event_id with what it does.
async function handle(event) {
  console.log(`${event.type} ${event.order_id} v${event.order_version} ${event.event_id}`);
}

const { payments, operations } = openPayments();
let stopping = false;
let finish = () => {};
for (const name of ["SIGTERM", "SIGINT"]) {
  process.on(name, () => {
    stopping = true;
    finish();
  });
}

// One session, to its end; resolves with the error that ended it, if there was one.
function consume() {
  return new Promise((resolve) => {
    const call = payments.ConsumeFulfillments(metadata());
    const lanes = new Map(); // order -> the end of its queue
    const unconfirmed = new Set();
    const blocked = new Map(); // order -> events that the service knows to be waiting
    let running = 0;
    let gone = false;
    let closing = false;
    let ping;
    let silence;

    const heard = () => {
      clearTimeout(silence);
      silence = setTimeout(() => call.cancel(), HEARTBEAT * 2500);
    };
    const settle = (kind, body, ids) => {
      if (gone) return;
      for (const id of ids) unconfirmed.add(id.toString("hex"));
      call.write({ [kind]: body });
    };
    const nack = (delivery, reason, seconds) =>
      settle(
        "nack",
        { ack_ids: [delivery.ack_id], reason, delay: { seconds: Math.ceil(seconds), nanos: 0 } },
        [delivery.ack_id],
      );
    const endIfDone = () => {
      if (!closing || running > 0 || unconfirmed.size > 0) return;
      clearInterval(ping);
      call.end();
    };
    finish = () => {
      if (closing || gone) return;
      closing = true; // nothing new starts; what runs is finished, and its acks confirmed
      call.write({ close: {} });
      endIfDone();
    };

    const work = async (delivery) => {
      const { event } = delivery;
      if (gone || closing) return; // another replica may have it by now
      const waiting = blocked.get(event.order_id);
      if (waiting && !waiting.has(event.event_id)) {
        waiting.add(event.event_id);
        nack(delivery, "waits behind an earlier event of its order", 0);
        return;
      }
      blocked.delete(event.order_id);
      running += 1;
      try {
        await handle(event);
        settle("ack", { ack_ids: [delivery.ack_id] }, [delivery.ack_id]);
      } catch (error) {
        blocked.set(event.order_id, new Set([event.event_id]));
        nack(delivery, String(error), Math.min(60, 2 ** (delivery.attempt - 1)));
      } finally {
        running -= 1;
        endIfDone();
      }
    };

    const heed = {
      opened: ({ lease_duration: lease }) => {
        const milliseconds = Number(lease.seconds) * 1000 + lease.nanos / 1e6;
        ping = setInterval(() => call.write({ ping: {} }), milliseconds / 3);
      },
      deliveries: ({ deliveries }) => {
        for (const delivery of deliveries) {
          const order = delivery.event.order_id;
          const after = (lanes.get(order) ?? Promise.resolve()).then(() => work(delivery));
          lanes.set(order, after);
          after.then(() => lanes.get(order) === after && lanes.delete(order));
        }
      },
      ack_results: ({ accepted, failed }) => {
        for (const id of accepted) unconfirmed.delete(id.toString("hex"));
        for (const { ack_id: id, reason } of failed) {
          unconfirmed.delete(id.toString("hex"));
          console.error(`not taken: ${reason}`);
        }
        endIfDone();
      },
      draining: () => finish(),
    };

    const end = (error) => {
      if (gone) return;
      gone = true;
      clearInterval(ping);
      clearTimeout(silence);
      resolve(error);
    };
    call.on("data", (message) => {
      heard();
      heed[message.response]?.(message[message.response]);
    });
    call.on("error", end);
    call.on("end", () => end());
    heard();
    call.write({
      open: {
        subscriber: NAME,
        member_id: process.env.PAYMENTS_MEMBER ?? `${hostname()}-${process.pid}`,
        credit: CREDIT,
        heartbeat_interval: { seconds: HEARTBEAT, nanos: 0 },
      },
    });
  });
}

await createSubscriber(operations, { subscriber: NAME }, { earliest: true });
console.log(`${NAME} consumes; Ctrl-C ends it.`);
for (let failures = 0; !stopping; ) {
  const began = Date.now();
  const error = await consume();
  if (error && FINAL.has(error.code)) throw error;
  failures = Date.now() - began > 10_000 ? 0 : failures + 1;
  if (!stopping) await sleep(Math.random() * Math.min(10_000, 200 * 2 ** failures));
}
payments.close();
operations.close();
