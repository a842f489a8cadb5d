import type { ServerDuplexStream } from '@grpc/grpc-js';
import anyPb from 'google-protobuf/google/protobuf/any_pb.js';
import emptyPb from 'google-protobuf/google/protobuf/empty_pb.js';
import shared from '@eventstore/db-client/generated/shared_pb.js';
import statusPb from '@eventstore/db-client/generated/status_pb.js';
import streams from '@eventstore/db-client/generated/streams_pb.js';
import type { BatchAppendReq, BatchAppendResp } from '@eventstore/db-client/generated/streams_pb.js';
import { countCall, type Double } from '../double.ts';
import { APPEND_BYTES_MAX, sizeOf, type Expected, type NewEvent } from '../store/event.ts';
import { identifierOf, nameOf, proposedOf } from './messages.ts';

type BatchCall = ServerDuplexStream<BatchAppendReq, BatchAppendResp>;
interface Batch { readonly stream: string; readonly expected: Expected; readonly messages: BatchAppendReq.ProposedMessage[] }

/** The server's write time-out: a refused append is answered a second time when it passes, which breaks the client. */
const WRITE_MS = 2_000;

/** Many appends on one call, each told apart by its correlation id. What the client takes when an append carries no credentials. */
export function batchAppendHandler(double: Double) {
  return (call: BatchCall): void => {
    const batches = new Map<string, Batch>();
    call.on('data', (request: BatchAppendReq) => {
      const id = request.getCorrelationId()?.getString() ?? '';
      const options = request.getOptions();
      if (options) batches.set(id, { stream: nameOf(options.getStreamIdentifier()), expected: expectedOf(options), messages: [] });
      const batch = batches.get(id);
      batch?.messages.push(...request.getProposedMessagesList());
      if (batch === undefined || !request.getIsFinal()) return;
      batches.delete(id);
      countCall(double, 'batch-append');
      const say = (response: BatchAppendResp) => {
        if (!call.cancelled && !call.destroyed) call.write(response.setCorrelationId(new shared.UUID().setString(id)).setStreamIdentifier(identifierOf(batch.stream)));
      };
      answer(double, batch, say);
    });
    call.on('end', () => call.end());
  };
}

function answer({ store, faults }: Double, { stream, expected, messages }: Batch, say: (response: BatchAppendResp) => void): void {
  const events = messages.map(proposedOf);
  if (stream === '' || events.includes(undefined)) {
    say(failed('event_store.client.BadRequest', new shared.BadRequest().setMessage('Exception was thrown by handler.')));
    setTimeout(() => say(failed('event_store.client.Timeout', new shared.Timeout())), WRITE_MS);
    return;
  }
  if (sizeOf(events as NewEvent[]) > APPEND_BYTES_MAX) {
    say(failed('event_store.client.MaximumAppendSizeExceeded', new shared.MaximumAppendSizeExceeded().setMaxappendsize(APPEND_BYTES_MAX)));
    return;
  }
  const appended = store.append(stream, expected, events as NewEvent[]);
  const times = faults.take('answer-twice', { on: 'batch-append', stream }) ? 2 : 1;
  for (let time = 0; time < times; time += 1) {
    if (appended.kind === 'done') say(succeeded(appended));
    else if (appended.kind === 'tombstoned') say(failed('event_store.client.StreamDeleted', new shared.StreamDeleted().setStreamIdentifier(identifierOf(stream))));
    else say(failed('event_store.client.WrongExpectedVersion', wrongVersion(expected, appended.actual)));
  }
}

function succeeded({ revision, position }: { revision: number; position: number | undefined }): BatchAppendResp {
  const success = new streams.BatchAppendResp.Success().setCurrentRevision(String(revision));
  if (position === undefined) success.setNoPosition(new emptyPb.Empty());
  else success.setPosition(new shared.AllStreamPosition().setCommitPosition(String(position)).setPreparePosition(String(position)));
  return new streams.BatchAppendResp().setSuccess(success);
}

function failed(type: string, details: { serializeBinary(): Uint8Array }): BatchAppendResp {
  const any = new anyPb.Any();
  any.pack(details.serializeBinary(), type);
  return new streams.BatchAppendResp().setError(new statusPb.Status().setMessage(type).setDetails(any));
}

function wrongVersion(expected: Expected, actual: number) {
  const wrong = new shared.WrongExpectedVersion();
  if (typeof expected === 'number') wrong.setExpectedStreamPosition(String(expected));
  else if (expected === 'no_stream') wrong.setExpectedNoStream(new emptyPb.Empty());
  else if (expected === 'stream_exists') wrong.setExpectedStreamExists(new emptyPb.Empty());
  else wrong.setExpectedAny(new emptyPb.Empty());
  return actual < 0 ? wrong.setCurrentNoStream(new emptyPb.Empty()) : wrong.setCurrentStreamRevision(String(actual));
}

function expectedOf(options: BatchAppendReq.Options): Expected {
  if (options.hasStreamPosition()) return Number(options.getStreamPosition());
  if (options.hasNoStream()) return 'no_stream';
  return options.hasStreamExists() ? 'stream_exists' : 'any';
}
