import { testShortForm } from '../../drills/short-form.ts';
import { workersStopped } from './workers-stopped.drill.ts';

testShortForm(workersStopped);
