import { Metadata, status, type ServiceError } from '@grpc/grpc-js';

/** Errors as the real server says them: a gRPC status, and what the client tells them apart by in its trailers. */
function refusal(code: status, details: string, trailers: Readonly<Record<string, string>> = {}): ServiceError {
  const metadata = new Metadata();
  for (const [name, value] of Object.entries(trailers)) metadata.set(name, value);
  return Object.assign(new Error(details), { code, details, metadata });
}

/** Whatever the server did not expect: .NET's words, and no trailer of the store's. */
export const handlerThrew = ({ code = status.UNKNOWN }: { code?: number } = {}) => refusal(code, 'Exception was thrown by handler.');
export const invalidPosition = () => refusal(status.UNKNOWN, 'Unexpected ReadAllResult: InvalidPosition');
export const timedOut = (phase: string) => refusal(status.ABORTED, `Operation timed out: ${phase}`);
export const notReady = () => refusal(status.UNAVAILABLE, 'Server Is Not Ready');
export const dropped = () => refusal(status.UNAVAILABLE, 'The call was ended by the double');

/** Nobody said who asks, and nobody may without. */
export const accessDenied = () => refusal(status.PERMISSION_DENIED, 'Access Denied', { exception: 'access-denied' });
/** There is no such user, or the password is another. */
export const notAuthenticated = () => refusal(status.UNAUTHENTICATED, 'Bad HTTP authentication header');

export const notLeader = ({ host = '', port = 0 }: { host?: string; port?: number }) => refusal(status.NOT_FOUND, 'Leader info available', {
  exception: 'not-leader', 'leader-endpoint-host': host, 'leader-endpoint-port': String(port),
});

export const streamDeleted = (stream: string) => refusal(status.FAILED_PRECONDITION, `Event stream '${stream}' is deleted.`, {
  exception: 'stream-deleted', 'stream-name': stream,
});

export const appendTooBig = (bytesMax: number) => refusal(status.INVALID_ARGUMENT, `Maximum Append Size of ${bytesMax} Exceeded.`, {
  exception: 'maximum-append-size-exceeded', 'maximum-append-size': String(bytesMax),
});

/** Of a delete or a tombstone; an append answers it as a result. */
export const wrongExpectedVersion = (stream: string, { expected, actual }: { expected: number; actual: number }) => refusal(
  status.FAILED_PRECONDITION, `Delete failed due to WrongExpectedVersion. Stream: ${stream}, Expected version: ${expected}, Actual version: ${actual}`,
  { exception: 'wrong-expected-version', 'stream-name': stream, 'expected-version': String(expected), 'actual-version': actual < 0 ? '' : String(actual) },
);
