import { postgresStopped } from './postgres-stopped.drill.ts';
import { testShortForm } from './short-form.ts';

testShortForm(postgresStopped);
