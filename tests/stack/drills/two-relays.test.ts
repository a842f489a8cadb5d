import { testShortForm } from '../../drills/short-form.ts';
import { twoRelays } from './two-relays.drill.ts';

testShortForm(twoRelays);
