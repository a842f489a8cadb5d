import { testShortForm } from '../../drills/short-form.ts';
import { eventstoreStopped } from './eventstore-stopped.drill.ts';

testShortForm(eventstoreStopped);
