import type { sendUnaryData, ServerUnaryCall } from '@grpc/grpc-js';
import serverFeatures from '@eventstore/db-client/generated/serverfeatures_pb.js';
import type { SupportedMethods } from '@eventstore/db-client/generated/serverfeatures_pb.js';
import type { Empty } from '@eventstore/db-client/generated/shared_pb.js';

const METHODS = ['append', 'batchappend', 'delete', 'read', 'tombstone'];

/** By it the client chooses between the unary append and the batch. */
export function supportedMethodsHandler(_call: ServerUnaryCall<Empty, SupportedMethods>, answer: sendUnaryData<SupportedMethods>): void {
  const methods = METHODS.map((name) => new serverFeatures.SupportedMethod().setServiceName('event_store.client.streams.streams').setMethodName(name));
  answer(null, new serverFeatures.SupportedMethods().setEventStoreServerVersion('24.2.0').setMethodsList(methods));
}
