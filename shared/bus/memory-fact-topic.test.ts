import { factTopicContract } from './fact-topic.contract.ts';
import { createMemoryFactTopic } from './memory-fact-topic.ts';

factTopicContract('memory', async () => {
  const topic = createMemoryFactTopic();
  return { topic, read: async () => topic.records.map((all) => all.map(({ position }) => position)), close: async () => undefined };
});
