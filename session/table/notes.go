package table

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// assignNotes says what was taken for what.
func assignNotes(t *Table) []string {
	var notes []string
	if line := takenByName(t); line != "" {
		notes = append(notes, line)
	}
	for _, role := range allRoles {
		src, ok := t.Roles[role]
		if !ok {
			continue
		}
		if len(src.Others) > 0 {
			notes = append(notes, fmt.Sprintf("%s = %s (also: %s); change with %s=%q",
				role, quoteName(src.Column), listSome(src.Others), role, src.Others[0]))
		}
		if r, _ := rank(role, src.Column); r >= weak && !src.Given {
			notes = append(notes, fmt.Sprintf("%s = %s is a guess by its name; say %s=COLUMN if it is another", role, quoteName(src.Column), role))
		}
		notes = append(notes, unitNotes(t, role, src)...)
	}
	if absent := absentNote(t); absent != "" {
		notes = append(notes, absent)
	}
	if groups, example := LRRoundings(t); groups > 0 {
		values := "values are"
		if groups == 1 {
			values = "value is"
		}
		notes = append(notes, fmt.Sprintf("lr: %d %s written in two roundings within 1%% (%s): grouped in cells; fits use the values as written",
			groups, values, example))
	}
	return notes
}

// takenByName lists the roles found by name, in one line.
func takenByName(t *Table) string {
	var parts []string
	for _, role := range allRoles {
		if src, ok := t.Roles[role]; ok && !src.Given {
			parts = append(parts, fmt.Sprintf("%s=%s", role, quoteName(src.Column)))
		}
	}
	if len(parts) == 0 {
		return ""
	}
	return "taken by name: " + strings.Join(parts, " ")
}

func absentNote(t *Table) string {
	var absent []string
	for _, role := range []Role{RoleN, RoleD, RoleLR, RoleLoss} {
		if _, ok := t.Roles[role]; !ok {
			if why := t.implausible(role); why != "" {
				absent = append(absent, fmt.Sprintf("%s (%s)", role, why))
				continue
			}
			absent = append(absent, string(role))
		}
	}
	if len(absent) == 0 {
		return ""
	}
	return fmt.Sprintf("no column found for %s (columns: %s)", strings.Join(absent, ", "), listColumns(t))
}

// listSome lists names, shortened when they are many.
func listSome(names []string) string {
	const most = 4
	quoted := make([]string, 0, most)
	for _, n := range names[:min(len(names), most)] {
		quoted = append(quoted, strconv.Quote(shorten(n)))
	}
	s := strings.Join(quoted, ", ")
	if len(names) > most {
		s += fmt.Sprintf(" and %d more", len(names)-most)
	}
	return s
}

// Values below these are hardly parameters or tokens in units of one.
const (
	smallN = 1e4
	smallD = 1e6
)

// unitNotes doubts the unit of a role's column.
func unitNotes(t *Table, role Role, src RoleSource) []string {
	c := t.RoleColumn(role)
	if c == nil || src.Expr != "" {
		return nil
	}
	name := exprName(src.Column)
	lo, hi := extent(c.Numbers)
	switch role {
	case RoleBatch:
		if src.Given || slices.Contains(tokenBatches, plain(lastForm(src.Column))) {
			return nil
		}
		if lo >= 1<<15 {
			return []string{fmt.Sprintf("batch = %s: taken as tokens (%s to %s)", quoteName(src.Column), FormatNumber(lo), FormatNumber(hi))}
		}
		return []string{fmt.Sprintf("batch = %s: unit unknown (sequences or tokens?); say batch=%s*2048 if sequences of 2048", quoteName(src.Column), name)}
	case RoleN, RoleD:
		limit, factor, what := smallN, "1e6", "parameters"
		if role == RoleD {
			limit, what = smallD, "tokens"
		}
		if hi > 0 && hi < limit {
			if hi < 1000 && role == RoleD {
				factor = "1e9"
			}
			return []string{fmt.Sprintf("%s = %s: at most %s, which is few %s; if it is in another unit say %s=%s*%s",
				role, quoteName(src.Column), FormatNumber(hi), what, role, name, factor)}
		}
	case RoleLoss:
		if looksLikeScore(src.Column) {
			return []string{fmt.Sprintf("loss = %s: by its name it is no loss but a score, of which more is better; a fit looks for the least", quoteName(src.Column))}
		}
		if lo < 0 && src.Given {
			return []string{fmt.Sprintf("loss = %s: some values are negative", quoteName(src.Column))}
		}
	case RoleLR:
		if hi > 10 {
			return []string{fmt.Sprintf("lr = %s: up to %s, which is large for a learning rate", quoteName(src.Column), FormatNumber(hi))}
		}
	}
	return nil
}

func lastForm(name string) string {
	forms := nameForms(name)
	return forms[len(forms)-1]
}

// looksLikeScore recognises names of quantities to be maximised.
func looksLikeScore(name string) bool {
	for _, w := range words(name) {
		switch w {
		case "accuracy", "acc", "score", "reward", "return", "auc", "auroc", "f1", "bleu", "rouge", "precision", "recall", "throughput":
			return true
		}
	}
	return false
}

// extent returns the least and greatest finite value, NaN if there is none.
func extent(vs []float64) (lo, hi float64) {
	lo, hi = math.NaN(), math.NaN()
	for _, v := range vs {
		if !finite(v) {
			continue
		}
		if !(lo <= v) {
			lo = v
		}
		if !(hi >= v) {
			hi = v
		}
	}
	return lo, hi
}

// LRRoundings counts the learning rates that are written in more than one
// rounding: values within 1% of each other of which one has fewer digits and is
// the other to within its last digit (0.000488, 0.0004883). example shows one.
// A random search, with thousands of values, has none.
func LRRoundings(t *Table) (groups int, example string) {
	const most = 4096
	c := t.RoleColumn(RoleLR)
	if c == nil {
		return 0, ""
	}
	seen := map[float64]struct{}{}
	for _, v := range c.Numbers {
		if v > 0 && finite(v) {
			seen[v] = struct{}{}
			if len(seen) > most {
				return 0, ""
			}
		}
	}
	values := make([]float64, 0, len(seen))
	for v := range seen {
		values = append(values, v)
	}
	slices.Sort(values)
	for i := 0; i < len(values); {
		j := i + 1
		for j < len(values) && sameRounded(values[j-1], values[j]) {
			j++
		}
		if j > i+1 {
			groups++
			// The example of the most digits shows best what is meant.
			text := FormatNumber(values[i]) + ", " + FormatNumber(values[i+1])
			if len(text) > len(example) {
				example = text
			}
		}
		i = j
	}
	return groups, example
}

// sameRounded reports whether a < b are one number in two roundings.
func sameRounded(a, b float64) bool {
	if b > a*1.01 {
		return false
	}
	digits := min(significant(a), significant(b))
	unit := math.Pow(10, math.Floor(math.Log10(b))-float64(digits-1))
	return significant(a) != significant(b) && b-a <= unit
}

// significant returns the number of significant decimal digits of v.
func significant(v float64) int {
	s := strconv.FormatFloat(v, 'e', -1, 64)
	mantissa, _, _ := strings.Cut(s, "e")
	return len(strings.Replace(mantissa, ".", "", 1))
}
