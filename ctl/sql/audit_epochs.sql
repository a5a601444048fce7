-- The balance of epochs that ended: nothing of them can wait any more.
select stream, epoch, added, counted, duplicates, rejected, conflicts, lost, 0 as waiting,
       added - counted - duplicates - rejected - conflicts - lost as difference
  from stream_epochs
 order by stream, epoch
