-- A message is counted about a second after it was written, when its page is full of other messages.
-- Without space on the page the counted version of the row goes to another one, and every index gets
-- a new entry for it. The relay counts the rows of a page in eight turns; each finds space here,
-- the turns after the first in place of what the ones before left behind.
alter table realtime.messages set (fillfactor = 85);
