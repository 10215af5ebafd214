package table

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/etastar/etastar/session/nearest"
)

// Assign returns the table with roles: overrides first (a column name or an
// expression such as bs*2048; key is the role), the rest found by name. Notes say
// what was taken for what and what else it could have been. Sequences-per-step
// columns (bs, batch_size) found by name are noted as of unknown unit.
// Errors name the role, the word that was not found and the nearest column.
//
// A role for which nothing is found is absent, which is no error: Need says so
// where the role is needed. An expression becomes a column called like the role,
// or like the expression where there is such a column already.
func Assign(t *Table, overrides map[Role]string) (*Table, error) {
	if err := checkRoles(overrides); err != nil {
		return nil, err
	}
	out := t.with(slices.Clone(t.Columns))
	out.Roles = Roles{}
	taken := map[string]Role{}
	exprs := map[Role]string{}
	for _, role := range allRoles {
		text, ok := overrides[role]
		if !ok {
			continue
		}
		c, err := givenColumn(out, text)
		switch {
		case err != nil:
			return nil, fmt.Errorf("%s: %w", role, err)
		case c == nil:
			exprs[role] = text
		case c.Kind == Text:
			return nil, fmt.Errorf("%s: column %q is text (%q): it takes numbers", role, c.Name, c.example())
		default:
			taken[c.Name] = role
			out.Roles[role] = RoleSource{Column: c.Name, Given: true}
		}
	}
	for _, role := range allRoles {
		if _, given := out.Roles[role]; given {
			continue
		}
		found := candidates(out, role, taken)
		if len(found) == 0 {
			continue
		}
		src := RoleSource{Column: found[0].name}
		for _, c := range found[1:] {
			src.Others = append(src.Others, c.name)
		}
		out.Roles[role] = src
	}
	if err := assignExprs(out, exprs); err != nil {
		return nil, err
	}
	out.Notes = append(out.Notes, assignNotes(out)...)
	return out, nil
}

func checkRoles(overrides map[Role]string) error {
	for _, role := range slices.Sorted(maps.Keys(overrides)) {
		if slices.Contains(allRoles, role) {
			continue
		}
		all := make([]string, len(allRoles))
		for i, r := range allRoles {
			all[i] = string(r)
		}
		hint := ""
		if near := nearest.Word(string(role), all); near != "" {
			hint = "; did you mean " + near + "?"
		}
		return fmt.Errorf("there is no role %q%s (roles: %s)", role, hint, strings.Join(all, ", "))
	}
	return nil
}

// givenColumn returns the column an override names, or nil if it is an expression.
func givenColumn(t *Table, text string) (*Column, error) {
	text = strings.TrimSpace(text)
	bare, quoted := unquote(text)
	for _, c := range t.Columns {
		if c.Name == bare {
			return c, nil
		}
	}
	isName := quoted || simpleName(bare)
	if isName || !couldCompute(t, text) {
		if c := t.Column(bare); c != nil {
			return c, nil
		}
	}
	if !isName {
		return nil, nil
	}
	// A role's own name may stand in an expression of its own: loss=loss is nothing new.
	if _, isRole := t.Roles[Role(bare)]; isRole {
		return nil, nil
	}
	return nil, t.noColumn(bare)
}

// couldCompute reports whether text is an expression over columns there are, so
// that N-D is a difference although a column n_d would match it folded.
func couldCompute(t *Table, text string) bool {
	_, err := compile(text, columnScope{t})
	return err == nil
}

// unquote removes one pair of quotes or backticks.
func unquote(s string) (string, bool) {
	if len(s) >= 2 && strings.IndexByte("\"'`", s[0]) >= 0 && s[len(s)-1] == s[0] && strings.Count(s, s[:1]) == 2 {
		return s[1 : len(s)-1], true
	}
	return s, false
}

// assignExprs computes the roles given by expressions. They see the roles found
// by name, even those they replace.
func assignExprs(t *Table, exprs map[Role]string) error {
	columns := map[Role]*Column{}
	for _, role := range allRoles {
		text, ok := exprs[role]
		if !ok {
			continue
		}
		text = strings.TrimSpace(text)
		name := string(role)
		if slices.ContainsFunc(t.Columns, func(c *Column) bool { return c.Name == name }) {
			name = text
		}
		c, err := evaluate(t, name, text)
		if err != nil {
			return fmt.Errorf("%s: %w", role, err)
		}
		if c.Kind == Text {
			return fmt.Errorf("%s: %w", role, &ExprError{Expr: text, End: len(text), Message: "this gives text", Hint: "the role takes numbers"})
		}
		columns[role] = c
	}
	for _, role := range allRoles {
		c, ok := columns[role]
		if !ok {
			continue
		}
		i := slices.IndexFunc(t.Columns, func(old *Column) bool { return old.Name == c.Name })
		if i >= 0 {
			t.Columns[i] = c
		} else {
			t.Columns = append(t.Columns, c)
		}
		t.Roles[role] = RoleSource{Column: c.Name, Expr: strings.TrimSpace(exprs[role]), Given: true}
	}
	return nil
}

// Need returns an error that names the roles the table has no column for, the
// columns there are, and how to say which it is.
func (t *Table) Need(roles ...Role) error {
	var missing []Role
	for _, r := range roles {
		if t.RoleColumn(r) == nil {
			missing = append(missing, r)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	names := make([]string, len(missing))
	for i, r := range missing {
		names[i] = fmt.Sprintf("%s (%s)", r, meaning[r])
	}
	r := missing[0]
	say := fmt.Sprintf("say %s=COLUMN or %s=EXPRESSION", r, r)
	if hint := t.roleHint(r); hint != "" {
		say = hint
	}
	return errors.New("no column for " + strings.Join(names, ", ") + "; " + say + "; columns: " + listColumns(t))
}

// meaning of each role in messages.
var meaning = map[Role]string{
	RoleN:     "parameters",
	RoleD:     "training tokens",
	RoleLR:    "learning rate",
	RoleBatch: "tokens per step",
	RoleLoss:  "final loss",
	RoleFLOPs: "training FLOPs",
}

// roleHint proposes what to say for a role that was not found.
func (t *Table) roleHint(r Role) string {
	if why := t.implausible(r); why != "" {
		return why
	}
	for _, c := range t.Columns {
		ws := wordsOutsideBrackets(c.Name)
		switch {
		case r == RoleLoss && c.Kind == Number && (slices.Contains(ws, "perplexity") || slices.Contains(ws, "ppl")):
			return fmt.Sprintf("%s is exp(loss): say loss=ln(%s)", quoteName(c.Name), exprName(c.Name))
		case c.Kind == Text:
			if rank, ok := rank(r, c.Name); ok && rank < weak {
				return fmt.Sprintf("%s is text (%q)", quoteName(c.Name), c.example())
			}
		}
	}
	candidates := slices.Clone(known[r])
	switch r {
	case RoleLR:
		candidates = []string{"lr", "learning_rate", "peak_lr"}
	case RoleLoss:
		candidates = []string{"loss", "val_loss", "train_loss", "smooth_loss"}
	}
	for _, c := range t.Columns {
		if near := nearest.Word(c.Name, candidates); near != "" && len(c.Name) > 2 && plausible(r, c, weak) {
			return fmt.Sprintf("if it is %s, say %s=%s", quoteName(c.Name), r, quoteName(c.Name))
		}
	}
	return ""
}
