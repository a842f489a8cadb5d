import { hooksTroubles } from './hooks-troubles.drill.ts';
import { testShortForm } from './short-form.ts';

testShortForm(hooksTroubles);
