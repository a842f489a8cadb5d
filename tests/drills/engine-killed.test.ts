import { engineKilled } from './engine-killed.drill.ts';
import { testShortForm } from './short-form.ts';

testShortForm(engineKilled);
