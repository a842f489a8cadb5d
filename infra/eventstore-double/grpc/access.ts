import type { Metadata } from '@grpc/grpc-js';
import { countCall, type Double } from '../double.ts';
import { accessDenied, notAuthenticated, notLeader } from './refusals.ts';

/** Of every kind of call: what says who asks, and from where. */
interface AnyCall { readonly metadata: Metadata; getPeer(): string; emit(event: 'error', error: Error): boolean }

/**
 * The handler, for whoever may ask: a user of the server, where it has any. A node that does not lead answers only who does not
 * ask for the leader; and one that is out answers nobody, for it takes no connections.
 */
export function guarded<Handler extends (call: never, answer: never) => void>(double: Double, handler: Handler): Handler {
  const checked = (call: AnyCall, answer: ((error: Error) => void) | undefined) => {
    const refused = refusalOf(double, call);
    if (refused === undefined) handler(call as never, answer as never);
    // Answers of one message go to the callback, streams are ended by an error.
    else if (typeof answer === 'function') answer(refused);
    else call.emit('error', refused);
  };
  return checked as unknown as Handler;
}

function refusalOf(double: Double, call: AnyCall): Error | undefined {
  const { users, nodes } = double;
  const [given] = call.metadata.get('authorization');
  if (users.size > 0 && !isUser(users, String(given))) {
    countCall(double, 'denied');
    return given === undefined ? accessDenied() : notAuthenticated();
  }
  const leader = nodes.leader();
  const wantsLeader = call.metadata.get('requires-leader')[0] === 'true';
  return wantsLeader && nodes.of(call.getPeer()) !== leader ? notLeader(leader) : undefined;
}

function isUser(users: ReadonlyMap<string, string>, authorization: string): boolean {
  const [, encoded = ''] = /^Basic (.+)$/.exec(authorization) ?? [];
  const [name = '', ...word] = Buffer.from(encoded, 'base64').toString('utf8').split(':');
  return users.get(name) === word.join(':');
}
