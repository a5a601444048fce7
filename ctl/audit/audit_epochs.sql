-- The balance of epochs that have ended, of which nothing can wait any more.
SELECT stream, epoch, added, counted, duplicates, rejected, conflicts, lost, 0 AS waiting,
       added - counted - duplicates - rejected - conflicts - lost AS difference
  FROM stream_epochs
 ORDER BY stream, epoch
