import { randomUUID } from 'node:crypto';
import type { ServerWritableStream } from '@grpc/grpc-js';
import type { ReadReq, ReadResp } from '@eventstore/db-client/generated/streams_pb.js';
import { countCall, type Double } from '../double.ts';
import type { StoredEvent } from '../store/event.ts';
import { visibleOf } from '../store/event.ts';
import { confirmationResponse, nameOf, notFoundResponse } from './messages.ts';
import { handlerThrew, invalidPosition, notLeader, notReady, streamDeleted } from './refusals.ts';
import { createResponseWriter, type ResponseWriter } from './response-writer.ts';
import { followLog } from './subscribe.ts';
import { subscriptionOf } from './subscription-options.ts';

type ReadCall = ServerWritableStream<ReadReq, ReadResp>;

/** Reads of a stream or of all, and subscriptions: one call of the protocol. */
export function readHandler(double: Double) {
  return (call: ReadCall): void => {
    const options = call.request.getOptions();
    if (options === undefined) return void call.emit('error', handlerThrew());
    const on = options.hasSubscription() ? 'subscribe' : 'read';
    const stream = options.hasStream() ? nameOf(options.getStream()?.getStreamIdentifier()) : undefined;
    countCall(double, on);

    const of = { on, ...(stream === undefined ? {} : { stream }) } as const;
    if (double.faults.take('silent', of)) return;
    const leader = double.faults.take('not-leader', of);
    if (leader) return void call.emit('error', notLeader(leader));
    const broken = double.faults.take('wordless', of);
    if (broken) return void call.emit('error', handlerThrew(broken));
    if (double.faults.take('not-ready', of)) return void call.emit('error', notReady());

    const writer = createResponseWriter(double, call, on);
    if (on === 'subscribe') void subscribe(double, options, writer);
    else if (stream === undefined) void readAll(double, options, writer);
    else void readStream(double, { stream, options }, writer);
  };
}

async function subscribe(double: Double, options: ReadReq.Options, writer: ResponseWriter): Promise<void> {
  const asked = subscriptionOf(double.store, options);
  await writer.say(confirmationResponse(randomUUID()));
  if (asked === 'invalid') return writer.end(invalidPosition());
  const drop = () => writer.end(notReady());
  double.subscriptions.add(drop);
  writer.signal.addEventListener('abort', () => double.subscriptions.delete(drop), { once: true });
  await followLog(double, asked, writer);
}

const isBackwards = (options: ReadReq.Options) => Number(options.getReadDirection()) === 1;

async function readStream({ store }: Double, { stream: name, options }: { stream: string; options: ReadReq.Options }, writer: ResponseWriter): Promise<void> {
  const stream = store.stream(name);
  const from = options.getStream();
  if (stream?.isTombstoned) return writer.end(streamDeleted(name));
  const visible = visibleOf(stream);
  if (visible === undefined) {
    await writer.say(notFoundResponse(name));
    return writer.end();
  }
  const revision = from?.hasRevision() ? Number(from.getRevision()) : from?.hasEnd() ? Infinity : 0;
  const events = isBackwards(options) ? visible.filter((event) => event.revision <= revision).reverse() : visible.filter((event) => event.revision >= revision);
  await writeAll(events, options, writer);
}

async function readAll({ store }: Double, options: ReadReq.Options, writer: ResponseWriter): Promise<void> {
  const all = options.getAll();
  const position = all?.hasPosition() ? Number(all.getPosition()?.getCommitPosition()) : all?.hasEnd() ? Infinity : 0;
  const index = store.indexAt(position);
  if (index === undefined) return writer.end(invalidPosition());
  // Forwards the event at the position is the first that is given, backwards it is not given any more.
  await writeAll(isBackwards(options) ? store.all.slice(0, index).reverse() : store.all.slice(index), options, writer);
}

async function writeAll(events: readonly StoredEvent[], options: ReadReq.Options, writer: ResponseWriter): Promise<void> {
  const count = Number(options.getCount());
  if (count === 0) return writer.end(handlerThrew());
  for (const event of events.slice(0, count)) {
    if (writer.signal.aborted) return;
    await writer.event(event);
  }
  // A fault that stopped it mid-stream leaves the call open.
  if (!writer.isStopped()) writer.end();
}
