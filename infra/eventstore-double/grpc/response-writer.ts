import { once } from 'node:events';
import type { ServiceError, ServerWritableStream } from '@grpc/grpc-js';
import type { ReadReq, ReadResp } from '@eventstore/db-client/generated/streams_pb.js';
import type { Double } from '../double.ts';
import type { StoredEvent } from '../store/event.ts';
import { eventResponse } from './messages.ts';
import { dropped } from './refusals.ts';

/** Writes the answers of a read or a subscription, no faster than they are taken, and does what the call's faults say. */
export interface ResponseWriter {
  /** Aborted when the client has gone, or the call was ended. */
  readonly signal: AbortSignal;
  say(response: ReadResp): Promise<void>;
  event(event: StoredEvent): Promise<void>;
  /** A fault has silenced it: the call stays open. */
  isStopped(): boolean;
  end(error?: ServiceError): void;
}

export function createResponseWriter(double: Double, call: ServerWritableStream<ReadReq, ReadResp>, on: 'read' | 'subscribe'): ResponseWriter {
  const ending = new AbortController();
  const { signal } = ending;
  for (const event of ['cancelled', 'close', 'error']) call.on(event, () => ending.abort());
  const stopping = double.faults.take('stop-mid-stream', { on });
  const dropping = double.faults.take('end-mid-stream', { on });
  const twice = on === 'subscribe' && double.faults.take('answer-twice', { on }) !== undefined;
  let events = 0;

  return { signal, say, event, end, isStopped: () => isOver(stopping) };

  async function say(response: ReadResp): Promise<void> {
    if (signal.aborted || isOver(stopping)) return;
    if (isOver(dropping)) end(dropped());
    else if (!call.write(response)) await once(call, 'drain', { signal }).catch(() => undefined);
  }

  async function event(stored: StoredEvent): Promise<void> {
    await say(eventResponse(stored));
    if (twice) await say(eventResponse(stored));
    events += 1;
  }

  function isOver(fault: { readonly afterEvents: number } | undefined): boolean {
    return fault !== undefined && events >= fault.afterEvents;
  }

  function end(error?: ServiceError): void {
    if (signal.aborted) return;
    ending.abort();
    if (error) call.emit('error', error);
    else call.end();
  }
}
