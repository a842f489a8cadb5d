import type { sendUnaryData, ServerUnaryCall } from '@grpc/grpc-js';
import streams from '@eventstore/db-client/generated/streams_pb.js';
import type { DeleteReq, DeleteResp, TombstoneReq, TombstoneResp } from '@eventstore/db-client/generated/streams_pb.js';
import { countCall, type Double } from '../double.ts';
import type { Appended } from '../store/event-store.ts';
import { expectedOf, nameOf } from './messages.ts';
import { streamDeleted, wrongExpectedVersion } from './refusals.ts';

export function deleteHandler(double: Double) {
  return (call: ServerUnaryCall<DeleteReq, DeleteResp>, answer: sendUnaryData<DeleteResp>): void => {
    countCall(double, 'delete');
    const options = call.request.getOptions();
    const stream = nameOf(options?.getStreamIdentifier());
    const done = double.store.delete(stream, expectedOf(options));
    const position = new streams.DeleteResp.Position();
    answer(refusalOf(stream, done), new streams.DeleteResp().setPosition(placed(position, done)));
  };
}

export function tombstoneHandler(double: Double) {
  return (call: ServerUnaryCall<TombstoneReq, TombstoneResp>, answer: sendUnaryData<TombstoneResp>): void => {
    countCall(double, 'tombstone');
    const options = call.request.getOptions();
    const stream = nameOf(options?.getStreamIdentifier());
    const done = double.store.tombstone(stream, expectedOf(options));
    const position = new streams.TombstoneResp.Position();
    answer(refusalOf(stream, done), new streams.TombstoneResp().setPosition(placed(position, done)));
  };
}

interface Position { setCommitPosition(value: string): this; setPreparePosition(value: string): this }

function placed<P extends Position>(message: P, done: Appended): P {
  const position = String(done.kind === 'done' ? (done.position ?? 0) : 0);
  return message.setCommitPosition(position).setPreparePosition(position);
}

function refusalOf(stream: string, done: Appended) {
  if (done.kind === 'tombstoned') return streamDeleted(stream);
  return done.kind === 'done' ? null : wrongExpectedVersion(stream, { expected: -2, actual: done.actual });
}
