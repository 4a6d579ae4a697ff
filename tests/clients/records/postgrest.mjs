// @supabase/postgrest-js against `ingot-rest`. Prints one JSON line per step.
import { PostgrestClient } from '@supabase/postgrest-js';

const { BASE_URL: url, TOKEN } = process.env;
const say = (step, value) => console.log(JSON.stringify({ step, ...value }));
const anonymous = new PostgrestClient(url);
const ann = new PostgrestClient(url, { headers: { Authorization: `Bearer ${TOKEN}` } });
const told = ({ data, error, count, status }) => ({ data, count, status, code: error?.code ?? null });

say('embed', told(await anonymous.from('films')
  .select('title, directors!inner(last_name)', { count: 'exact' })
  .eq('directors.last_name', 'Kurosawa').order('year').range(0, 0)));
say('filters', told(await anonymous.from('films').select('id')
  .or('year.gte.1985,tags.cs.{war}').not('rating', 'is', null).order('id')));
say('text', told(await anonymous.from('films').select('id').textSearch('words', 'samurai')));
say('head', told(await anonymous.from('films').select('*', { count: 'exact', head: true })));
say('single', told(await anonymous.from('films').select('title').eq('id', 3).single()));
say('notSingle', told(await anonymous.from('films').select('title').single()));
say('maybeSingle', told(await anonymous.from('films').select('title').eq('id', 99).maybeSingle()));
say('csv', told(await anonymous.from('people').select('id,name').lte('id', 2).order('id').csv()));
say('insert', told(await anonymous.from('items')
  .insert([{ name: 'one' }, { name: 'two' }]).select('name')));
say('upsert', told(await anonymous.from('items')
  .upsert({ name: 'one', amount: 5 }, { onConflict: 'name' }).select('name, amount')));
say('update', told(await anonymous.from('items').update({ amount: 7 }).eq('name', 'two').select('amount')));
say('remove', told(await anonymous.from('items').delete().in('name', ['one', 'two'])));
say('call', told(await ann.rpc('who')));
say('callGet', told(await ann.rpc('claim', { key: 'sub' }, { get: true })));
say('own', told(await ann.from('secrets').select('word')));
say('missing', told(await anonymous.from('nothing').select()));
