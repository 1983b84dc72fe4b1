WITH
-- The table's columns under canonical names; verdict_ is 0 pass, 1 pending, 2 false call, 3 provisional, 4 borderline, 5 defect, 6 escape.
raw_ AS (
  SELECT
{raw}
  FROM {table}
),
judged_ AS (
  SELECT raw_.*,
    CASE WHEN value_ IS NULL OR part_ = '' OR (lower_ IS NULL AND upper_ IS NULL) THEN 1 ELSE 0 END AS silent_,
    CASE WHEN value_ IS NULL OR part_ = '' OR (lower_ IS NULL AND upper_ IS NULL)
           OR NOT {finite:value_} OR NOT {finite:COALESCE(lower_, 0)} OR NOT {finite:COALESCE(upper_, 0)}
           OR NOT {finite:COALESCE(nominal_, 0)} OR NOT {finite:COALESCE(sigma_, 0)} OR NOT {finite:COALESCE(resolution_, 1)}
           OR COALESCE(lower_ > upper_, 1 = 0) OR COALESCE(sigma_ < 0, 1 = 0) OR COALESCE(resolution_ <= 0, 1 = 0)
         THEN 0 ELSE 1 END AS usable_
  FROM raw_
),
-- Rows that cannot be placed: they block, or are pending on, every limit that agrees with what is known of their key.
lost_ AS (
  SELECT part_, model_, revision_, inspection_, feature_, unit_,
    SUM(CASE WHEN verdict_ >= 3 THEN 1 ELSE 0 END) AS guarding_,
    SUM(CASE WHEN COALESCE(verdict_, 1) = 1 AND (silent_ = 0 OR machine_ = 1) THEN 1 ELSE 0 END) AS unreviewed_
  FROM judged_ WHERE usable_ = 0
  GROUP BY part_, model_, revision_, inspection_, feature_, unit_
),
good_ AS (
  SELECT judged_.*,
    {concat:part_; model_; revision_; inspection_; feature_; unit_} AS key_,
    {concat:part_; model_; revision_; inspection_; feature_; unit_; {text:lower_}; {text:upper_}} AS tolerance_,
    CASE WHEN value_ {below} lower_ THEN 'lower' WHEN value_ {above} upper_ THEN 'upper' END AS side_
  FROM judged_ WHERE usable_ = 1
),
-- Each set of limits that was in force under a key.
versions_ AS (
  SELECT tolerance_, part_, model_, revision_, inspection_, feature_, unit_, lower_, upper_,
    COUNT(*) AS records_, MIN(time_) AS first_, MAX(nominal_) AS nominal_, MAX(sigma_) AS sigma_,
    MAX(resolution_) AS coarsest_, MIN(resolution_) AS finest_
  FROM good_
  GROUP BY tolerance_, part_, model_, revision_, inspection_, feature_, unit_, lower_, upper_
),
sides_ AS (
  SELECT versions_.*, 'lower' AS bound_, lower_ AS limit_ FROM versions_ WHERE lower_ IS NOT NULL
  UNION ALL
  SELECT versions_.*, 'upper' AS bound_, upper_ AS limit_ FROM versions_ WHERE upper_ IS NOT NULL
),
-- Flagged values with a verdict or waiting for one, and defects that nothing flagged.
seen_ AS (
  SELECT key_, tolerance_, lower_, upper_, side_, value_, record_, fault_,
    COALESCE(verdict_, CASE WHEN side_ IS NULL THEN 0 ELSE 1 END) AS said_
  FROM good_ WHERE side_ IS NOT NULL OR verdict_ >= 5
),
-- Of copies of one record the severest verdict counts; distinct values under it are all kept.
copies_ AS (
  SELECT seen_.*,
    MAX(said_) OVER (PARTITION BY key_, record_) AS severest_,
    ROW_NUMBER() OVER (PARTITION BY key_, record_, tolerance_, value_, said_ ORDER BY value_) AS copy_
  FROM seen_ WHERE said_ > 0
),
kept_ AS (
  SELECT * FROM copies_ WHERE record_ = '' OR (said_ = severest_ AND copy_ = 1)
),
-- From here on m_ is the value of a lower limit, or the negated one of an upper limit.
flags_ AS (
  SELECT tolerance_, side_, said_, value_, CASE WHEN side_ = 'upper' THEN -value_ ELSE value_ END AS m_
  FROM kept_ WHERE side_ IS NOT NULL
),
faults_ AS (
  SELECT flags_.*, ROW_NUMBER() OVER (PARTITION BY tolerance_, side_ ORDER BY m_ DESC) AS place_
  FROM flags_ WHERE said_ >= 5
),
nearest_ AS (
  SELECT tolerance_, side_, {list} AS nearest_, MIN(m_) AS last_, COUNT(*) AS listed_
  FROM faults_ WHERE place_ <= {held}
  GROUP BY tolerance_, side_
),
counts_ AS (
  SELECT tolerance_, side_,
    SUM(CASE WHEN said_ = 1 THEN 1 ELSE 0 END) AS pending_,
    SUM(CASE WHEN said_ >= 5 THEN 1 ELSE 0 END) AS defects_,
    SUM(CASE WHEN {guards} THEN 1 ELSE 0 END) AS provisional_,
    MAX(CASE WHEN {guards} THEN m_ END) AS provisional_value_
  FROM flags_
  GROUP BY tolerance_, side_
),
-- What holds the limit, d_, and the same with the margin, lift_.
holds_ AS (
  SELECT tolerance_, side_, d_, d_ + margin_ AS lift_
  FROM (
    SELECT c.tolerance_ AS tolerance_, c.side_ AS side_, {margin} AS margin_,
      CASE WHEN n.listed_ = {held} AND COALESCE(n.last_ >= c.provisional_value_, 1 = 1) THEN n.last_ ELSE c.provisional_value_ END AS d_
    FROM counts_ c
    JOIN sides_ s ON s.tolerance_ = c.tolerance_ AND s.bound_ = c.side_
    LEFT JOIN nearest_ n ON n.tolerance_ = c.tolerance_ AND n.side_ = c.side_
  ) margins_
),
-- False calls in order: how many lie before each, how many up to it.
calls_ AS (
  SELECT f.tolerance_ AS tolerance_, f.side_ AS side_, f.m_ AS m_,
    COUNT(*) OVER (PARTITION BY f.tolerance_, f.side_) AS n_,
    ROW_NUMBER() OVER (PARTITION BY f.tolerance_, f.side_ ORDER BY f.m_) AS place_,
    RANK() OVER (PARTITION BY f.tolerance_, f.side_ ORDER BY f.m_) - 1 AS before_,
    COUNT(*) OVER (PARTITION BY f.tolerance_, f.side_ ORDER BY f.m_) AS through_,
    CASE WHEN f.m_ <= h.d_ OR f.m_ {below} h.lift_ THEN 1 ELSE 0 END AS held_
  FROM flags_ f
  LEFT JOIN holds_ h ON h.tolerance_ = f.tolerance_ AND h.side_ = f.side_
  WHERE f.said_ = 2
),
placed_ AS (
  SELECT calls_.*, {integer:FLOOR((n_ - 1) * {real:percentile})} + 1 AS low_ FROM calls_
),
known_ AS (
  SELECT tolerance_, side_, MAX(n_) AS n_,
    MAX(CASE WHEN place_ = low_ THEN m_ END) AS low_value_,
    MAX(CASE WHEN place_ = low_ THEN before_ END) AS low_before_,
    MAX(CASE WHEN place_ = low_ THEN through_ END) AS low_through_,
    MAX(CASE WHEN place_ = low_ + 1 THEN m_ END) AS high_value_,
    MAX(CASE WHEN place_ = low_ + 1 THEN before_ END) AS high_before_,
    MAX(CASE WHEN place_ = low_ + 1 THEN through_ END) AS high_through_,
    MAX(CASE WHEN held_ = 1 THEN m_ END) AS held_value_,
    MAX(CASE WHEN held_ = 1 THEN before_ END) AS held_before_,
    MAX(CASE WHEN held_ = 1 THEN through_ END) AS held_through_,
    MIN(CASE WHEN held_ = 0 THEN m_ END) AS next_value_,
    MIN(CASE WHEN held_ = 0 THEN before_ END) AS next_before_,
    MIN(CASE WHEN held_ = 0 THEN through_ END) AS next_through_
  FROM placed_
  GROUP BY tolerance_, side_
),
unflagged_ AS (
  SELECT s.tolerance_ AS tolerance_, s.bound_ AS side_, COUNT(*) AS unflagged_
  FROM sides_ s
  JOIN kept_ k ON k.tolerance_ = s.tolerance_
  WHERE k.said_ >= 5 AND NOT (CASE WHEN s.bound_ = 'lower' THEN k.value_ {below} s.limit_ ELSE k.value_ {above} s.limit_ END)
  GROUP BY s.tolerance_, s.bound_
),
-- Defects that no limit flagged, laid at the nearer limit.
escapes_ AS (
  SELECT tolerance_, side_, COUNT(*) AS escapes_, MAX(CASE WHEN side_ = 'upper' THEN -value_ ELSE value_ END) AS escape_
  FROM (
    SELECT tolerance_, value_,
      CASE WHEN upper_ IS NULL OR (lower_ IS NOT NULL AND ABS(value_ - lower_) <= ABS(value_ - upper_)) THEN 'lower' ELSE 'upper' END AS side_
    FROM kept_
    WHERE kept_.side_ IS NULL AND said_ >= 5
      AND (fault_ = '' OR fault_ NOT IN (SELECT fault_ FROM kept_ WHERE kept_.side_ IS NOT NULL AND said_ >= 5))
  ) escaped_
  GROUP BY tolerance_, side_
),
blocks_ AS (
  SELECT v.tolerance_ AS tolerance_, SUM(l.guarding_) AS guarding_, SUM(l.unreviewed_) AS unreviewed_
  FROM versions_ v CROSS JOIN lost_ l
  WHERE (l.part_ = '' OR l.part_ = v.part_) AND (l.model_ = '' OR l.model_ = v.model_) AND (l.revision_ = '' OR l.revision_ = v.revision_)
    AND (l.inspection_ = '' OR l.inspection_ = v.inspection_) AND (l.feature_ = '' OR l.feature_ = v.feature_) AND (l.unit_ = '' OR l.unit_ = v.unit_)
  GROUP BY v.tolerance_
)
SELECT
  s.part_ AS part, s.model_ AS model, s.revision_ AS revision, s.inspection_ AS inspection, s.feature_ AS feature, s.unit_ AS unit,
  s.lower_ AS lower, s.upper_ AS upper, s.bound_ AS side, {number} AS percentile, {equal} AS equal_is_flagged,
  s.records_ AS records, {time_text:s.first_} AS first_time, s.nominal_ AS nominal, s.sigma_ AS sigma,
  s.coarsest_ AS resolution, s.finest_ AS finest_resolution,
  COALESCE(k.n_, 0) AS false_calls,
  {unmirror:k.low_value_} AS low, k.low_before_ AS low_before, k.low_through_ AS low_through,
  {unmirror:k.high_value_} AS high, k.high_before_ AS high_before, k.high_through_ AS high_through,
  {unmirror:k.held_value_} AS held, k.held_before_ AS held_before, k.held_through_ AS held_through,
  {unmirror:k.next_value_} AS next, k.next_before_ AS next_before, k.next_through_ AS next_through,
  COALESCE(c.defects_, 0) AS defects, n.nearest_ AS nearest_defects,
  COALESCE(c.provisional_, 0) AS provisional, {unmirror:c.provisional_value_} AS nearest_provisional,
  COALESCE(c.pending_, 0) + COALESCE(b.unreviewed_, 0) AS pending,
  COALESCE(e.escapes_, 0) AS escapes, {unmirror:e.escape_} AS nearest_escape,
  COALESCE(u.unflagged_, 0) AS defects_unflagged, COALESCE(b.guarding_, 0) AS unreadable_defects
FROM sides_ s
LEFT JOIN known_ k ON k.tolerance_ = s.tolerance_ AND k.side_ = s.bound_
LEFT JOIN counts_ c ON c.tolerance_ = s.tolerance_ AND c.side_ = s.bound_
LEFT JOIN nearest_ n ON n.tolerance_ = s.tolerance_ AND n.side_ = s.bound_
LEFT JOIN unflagged_ u ON u.tolerance_ = s.tolerance_ AND u.side_ = s.bound_
LEFT JOIN escapes_ e ON e.tolerance_ = s.tolerance_ AND e.side_ = s.bound_
LEFT JOIN blocks_ b ON b.tolerance_ = s.tolerance_
ORDER BY 1, 2, 3, 4, 5, 6, 7, 8, 9{settings}
