import { testShortForm } from '../../drills/short-form.ts';
import { rebalanced } from './rebalanced.drill.ts';

testShortForm(rebalanced);
