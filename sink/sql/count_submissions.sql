-- Submissions that are not done, by state, and since when the oldest one waits. What a person dropped is done.
SELECT state, count(*) AS n, min(created_at) AS oldest_at
  FROM (SELECT state, created_at FROM usage_submissions WHERE state IN ('pending', 'sending')
         UNION ALL
        SELECT state, created_at
          FROM usage_submissions
         WHERE state IN ('held', 'failed', 'in_doubt', 'late') AND decision IS DISTINCT FROM 'drop') AS open
 GROUP BY state
