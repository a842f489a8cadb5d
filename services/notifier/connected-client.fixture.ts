import type { ServerFrame } from '#schemas/live/frames.ts';
import type { Note } from '#shared/audit/audit-notes.ts';
import { refusalsOfSocket } from '#shared/audit/note-refusals.ts';
import type { Principal } from '#shared/runtime/access.ts';
import { openSocket } from './live-clients.fixture.ts';
import { createNotifierBench, type NotifierBench } from './notifier-bench.fixture.ts';

type Of<Op extends ServerFrame['op']> = Extract<ServerFrame, { op: Op }>;

const stops: (() => Promise<void>)[] = [];

/** One client: what it was sent, and how it was let go. It reads at once, unless the test holds it back. */
export function connectClient({ isKnown = true, bench = createNotifierBench(), principal }: { isKnown?: boolean; bench?: NotifierBench; principal?: Principal } = {}) {
  const frames: ServerFrame[] = [];
  const closed: { code: number; reason: string }[] = [];
  const noted: (Note & { token: string | undefined })[] = [];
  const refused = refusalsOfSocket((note, token) => noted.push({ ...note, token }), { route: 'WS /v1/live', network: '192.0.2.1' });
  const notifier = bench.startNotifier();
  const opened = openSocket(notifier.live, { isKnown, principal, refused, onFrame: (frame) => frames.push(frame), onClose: (code, reason) => closed.push({ code, reason }) });
  const client = {
    bench, notifier, frames, closed, noted, isReading: true, say: opened.say, cut: opened.cut, pipe: opened.pipe, recheck: opened.served.recheck,
    ofOp: <Op extends ServerFrame['op']>(op: Op) => frames.filter((frame) => frame.op === op) as Of<Op>[],
    until: async (isSo: () => boolean) => {
      for (let turn = 0; turn < 5_000 && !isSo(); turn += 1) { if (client.isReading) opened.pipe.read(); await new Promise(setImmediate); }
      expect(isSo()).toBe(true);
    },
  };
  stops.push(async () => { opened.cut(); await notifier.stop(); });
  opened.pipe.read();
  return client;
}

/** Ends all that were connected. */
export async function cutClients(): Promise<void> {
  for (const stop of stops.splice(0)) await stop();
}
