import type { AddressInfo } from 'node:net';
import express from 'express';

// What any answer of ours costs at least: a process of its own, as the engine is.
const app = express();
app.get('/', (_request, response) => void response.end());
const server = app.listen(0, '127.0.0.1', () => void process.stdout.write(`${(server.address() as AddressInfo).port}\n`));
