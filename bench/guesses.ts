import { randomUUID } from 'node:crypto';
import { Agent } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { quantile, shownTimes } from './figures.ts';
import type { Measure } from './main.ts';
import { memoryKiB } from './processes.ts';
import { seedProject } from './repositories.ts';
import { atRate, deliver, post, SIGNING_TOKEN } from './requests.ts';
import { inWorld, registerSource } from './world.ts';

const GUESSES = 1_000;
const GUESSES_A_SECOND = 100;
const GUESSERS = 64;
const DELIVERIES_A_SECOND = 50;
const WARM_MS = 3_000;

/**
 * Passwords are guessed, each for another name and from another address, so that no bound on names or addresses helps: what that does
 * to deliveries meanwhile, and to memory. So many a second, and then as fast as it goes.
 */
export function benchGuesses(): Promise<Measure[]> {
  return inWorld(async (world) => {
    const source = await registerSource(world, { signingToken: SIGNING_TOKEN });
    const { project, commits } = await seedProject(world, { name: 'small', files: 10, changes: 0 });
    const agent = new Agent({ keepAlive: true, maxSockets: 256 });
    const push = () => deliver(agent, { url: `${world.url}/webhooks/gitlab/${source}`, project, head: commits[0] ?? '' });
    // What a process reads and compiles at its first requests is the price of starting.
    await atRate(push, { perSecond: DELIVERIES_A_SECOND, while: sleep(WARM_MS) });
    const idle = memoryKiB(world.pid);
    const guesser = createGuesser(agent, world.url);
    const during = async (name: string, guessing: Promise<unknown>): Promise<Measure> => {
      const acks = await atRate(push, { perSecond: DELIVERIES_A_SECOND, while: guessing });
      return { name: `ack at ${DELIVERIES_A_SECOND} deliveries/s, ${name}`, ours: shownTimes(acks), reference: `goal p99 100 ms; guesses: ${guesser.told()}`, ratio: quantile(acks, 0.99) / 100, goal: '≤ 1' };
    };
    const measures = [await during(`${GUESSES} guesses at ${GUESSES_A_SECOND}/s`, atRate(guesser.guess, { perSecond: GUESSES_A_SECOND, while: sleep((1_000 * GUESSES) / GUESSES_A_SECOND) }))];
    const after = memoryKiB(world.pid);
    measures.push(await during(`${GUESSES} guesses, ${GUESSERS} at once`, guesser.guessAll()));
    agent.destroy();
    const mib = (kib: number) => `${Math.round(kib / 1_024)} MiB`;
    return [...measures, { name: `memory after ${GUESSES} guesses, and after as many more`, ours: `${mib(after)}, ${mib(memoryKiB(world.pid))}`, reference: `before ${mib(idle)}; engine, git, Postgres`, ratio: after / idle, goal: 'shown' }];
  }, { TEKAI_TRUSTED_PROXIES: '127.0.0.1' });
}

function createGuesser(agent: Agent, url: string) {
  let answers = new Map<number, number>();
  let n = 0;
  const guess = async () => {
    n += 1;
    const address = `203.0.${Math.floor(n / 256) % 256}.${n % 256}`;
    const status = await post(agent, `${url}/v1/auth/login`, { body: { name: `user-${n}`, password: randomUUID() }, headers: { 'x-forwarded-for': address } });
    answers.set(status, (answers.get(status) ?? 0) + 1);
  };
  return {
    guess,
    guessAll: () => Promise.all(Array.from({ length: GUESSERS }, async () => { for (let left = GUESSES / GUESSERS; left > 0; left -= 1) await guess(); })),
    /** How often which status came, since the last time. */
    told(): string {
      const told = [...answers].map(([status, count]) => `${count} × ${status}`).join(', ');
      answers = new Map();
      return told;
    },
  };
}
