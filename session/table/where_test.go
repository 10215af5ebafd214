package table

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
)

// rowsOf lists the rows of the sweep that a condition keeps, by their line.
func rowsOf(t *testing.T, expr string) string {
	t.Helper()
	tb, err := Assign(sweep(), map[Role]string{RoleBatch: "bs*2048"})
	if err != nil {
		t.Fatal(err)
	}
	got, err := Where(tb, expr)
	if err != nil {
		t.Fatalf("Where(%s): %v", expr, err)
	}
	var rows []string
	for i := range got.Rows {
		rows = append(rows, fmt.Sprint(got.Line(i)))
	}
	return strings.Join(rows, " ")
}

func TestWhere(t *testing.T) {
	tests := []struct{ expr, want string }{
		{"loss < 3.1", "1 2"},
		{"loss < 5 && bs*2048 == 2^17", "2"},
		{"lr >= 3e-4 and lr <= 3e-3", "1 2 3"},
		{"3e-4 <= lr <= 3e-3", "1 2 3"},
		{"N == 400M", "2 3"},
		{"N > 1.5B or D == 1B", "0 4"},
		{"D in 2B..8B", "1 2 3"},
		{"bs in [64, 128]", "2 3 4"},
		{"not (bs in [64])", "0 1"},
		{"bs not in [64]", "0 1"},
		{"`smooth loss` < 3", "1 2"},
		{"smooth_loss < 3", "1 2"},
		{`["smooth loss"] < 3`, "1 2"},
		{"`D/N` == 10", "0 2"},
		{"D/N == 10", "0 2"}, // the same by division
		{"d_n == 10", "0 2"},
		// A blank cell is neither below, above, equal nor unequal.
		{"loss != 3.0", "0 2 4"},
		{"loss == loss", "0 1 2"},
		{"!(loss < 3)", "0 1 3 4"},
		{"missing(loss)", "3"},
		{"isnan(loss)", "4"},
		{"diverged(smooth_loss)", "4"},
		{"finite(smooth_loss)", "0 1 2"},
		{"loss + 1 != 0", "0 1 2 4"},
		{"missing(loss * 0 + lr)", "3"},
		{"missing(max(loss, lr))", "3"},
		{"missing(loss ^ 0)", "3"},
		{"missing(-loss)", "3"},
		{"missing(ln(loss))", "3"},
		{`opt == "adamw"`, "0 1"},
		{`opt != "adamw"`, "2 4"},
		{`opt == ""`, "3"},
		{`opt != ""`, "0 1 2 4"},
		{`"muon" == opt`, "2 4"},
		{`"b" > opt`, "0 1"},
		{`opt in ["muon", 'sgd']`, "2 4"},
		{`opt contains "dam"`, "0 1"},
		{`not (opt contains "dam")`, "2 3 4"},
		{`opt not contains "dam"`, "2 3 4"},
		{`opt startsWith "mu"`, "2 4"},
		{`opt endsWith "w"`, "0 1"},
		{`opt matches "^(adam|mu)"`, "0 1 2 4"},
		{`missing(opt)`, "3"},
		{`opt == opt`, "0 1 2 4"},
		{"(bs == 32) == (lr < 1e-3)", "0 1 2 3 4"},
		{"bs % 48 == 16", "2 3 4"},
		{"-2^2 == -4 && 2^3^2 == 512", "0 1 2 3 4"},
		{"log10(lr) == -2", "4"},
		{"ln(exp(1)) == log(exp(1)) && log2(8) == 3", "0 1 2 3 4"},
		{"min(lr, 1e-3, 5) == lr", "0 1 2"},
		{"abs(-bs) == 32 and sqrt(4) == 2 and floor(1.5) + ceil(1.5) + round(1.5) == 5", "0 1"},
		{"bs == 32 ? lr > 2e-4 : lr > 5e-3", "1 4"},
		{"true", "0 1 2 3 4"},
		{"false or bs == 32", "0 1"},
		// batch is a role; there is no such column but the derived one.
		{"batch == 65536", "0 1"},
		{"batch == 64K * 1.024", "0 1"},
		{"12345678901234567890123 > 1", "0 1 2 3 4"},
		{".5 < 1 and 1. == 1", "0 1 2 3 4"},
		{"1_000 == 1K", "0 1 2 3 4"},
	}
	for _, tt := range tests {
		if got := rowsOf(t, tt.expr); got != tt.want {
			t.Errorf("Where(%s) keeps rows %q, want %q", tt.expr, got, tt.want)
		}
	}
}

func TestWhereErrors(t *testing.T) {
	tests := []struct {
		expr          string
		offset        int
		message, hint string
	}{
		{"los < 3", 0, `there is no column "los"`, "did you mean loss?"},
		{"lr > 0 && lss < 5", 10, `there is no column "lss"`, "did you mean loss?"},
		{"η > 0 && zebra < 5", 0, `there is no column "η"`, "columns: lr"},
		{"smooth_los < 3", 0, `there is no column "smooth_los"`, "did you mean `smooth loss`?"},
		{"smooth loss < 3", 7, "loss is unexpected here", "written `smooth loss` or smooth_loss"},
		{"`smoth loss` < 3", 0, `there is no column "smoth loss"`, "did you mean `smooth loss`?"},
		{"loss < 4Q", 7, `"4Q" is not a number`, "suffixes"},
		{"loss < 3x", 7, `"3x" is not a number`, "suffixes"},
		{"loss = 3", 5, "a single = does not compare", "write =="},
		{"loss =< 3", 5, "a single = does not compare", "write =="},
		{"loss <", 6, "the expression ends too early", ""},
		{"(loss < 3", 9, "the expression ends too early", ""},
		{"loss < 3)", 8, ") is unexpected here", ""},
		{"loss 3", 5, "3 is unexpected here", "an operator may be missing before it"},
		{"loss lr", 5, "lr is unexpected here", "an operator may be missing before it"},
		{"loss < 4B 5", 10, "5 is unexpected here", ""},
		{"", 0, "the expression is empty", ""},
		{"  ", 0, "the expression is empty", ""},
		{"loss", 0, "this is not a condition", "loss < 3"},
		{"opt", 0, "this is not a condition", `opt == "adamw"`},
		{"opt < 3", 0, `column "opt" is text, not a number`, `opt == "adamw"`},
		{`loss == "3"`, 8, "a number is compared with a string", "without quotes"},
		{"opt && bs > 3", 0, `column "opt" is text, not a condition`, `opt == "adamw"`},
		{"bs && bs > 3", 0, "expected a condition, found a number", "compare it with something"},
		{"lgo(lr) < 1", 0, "there is no function lgo", "did you mean log?"},
		{"ln(lr, 2) < 1", 0, "ln takes one argument, found 2", ""},
		{`opt == "adamw`, 7, "the string is not closed", `end it with "`},
		{"`opt == 3", 0, "the column name is not closed", "end it with `"},
		{`opt matches "("`, 12, "missing closing )", ""},
		{`loss contains "3"`, 0, "contains needs text on its left", ""},
		{`opt contains opt`, 13, "contains needs a string on its right", ""},
		{"bs in 64", 6, "in needs a list or a range", "bs in [32, 64]"},
		{`bs in ["a"]`, 7, "the list holds text, the left side is a number", ""},
		{"bs in [lr]", 7, "a list holds numbers or strings", ""},
		{"1..2", 1, "a range is not a value", "N in 1B..4B"},
		{"[1, 2] == 3", 0, "a list is not a value", "bs in [32, 64]"},
		{"lr > 0 // note", 7, "comments have no place in an expression", ""},
		{"lr <> 0", 3, "<> is no comparison here", "write !="},
		{"{a: 1}", 0, `"{" has no meaning here`, ""},
		{"map([1], # > 1)", 9, `"#" has no meaning here`, ""},
		{"loss < 1e999", 7, "1e999 is not a number a float can hold", ""},
		{"val/loss < 3", 0, `there is no column "val"`, "the column \"val/loss\" is written `val/loss` or val_loss"},
		{"nil == 3", 0, "nil is not a value here", "missing(x)"},
		{"lr & 3", 3, "& is unexpected here", ""},
		{strings.Repeat("(", 101) + "1", 100, "the expression is nested too deeply", ""},
		{strings.Repeat("1+", 1500) + "1", 2000, "the expression has too many terms", ""},
		{strings.Repeat(" ", 9000), maxExprLen, "the expression is longer than 8192 characters", ""},
		{"loss < \xff", 7, "not valid UTF-8", ""},
	}
	for _, tt := range tests {
		tb := sweep()
		if strings.HasPrefix(tt.expr, "val/") {
			tb = tableOf(numbers("val/loss", 1))
		}
		_, err := Where(tb, tt.expr)
		var e *ExprError
		if !errors.As(err, &e) {
			t.Errorf("Where(%.40s): %v, want an ExprError", tt.expr, err)
			continue
		}
		if e.Offset != tt.offset || !strings.Contains(e.Message, tt.message) || !strings.Contains(e.Hint, tt.hint) {
			t.Errorf("Where(%.40s): at %d %q; %q\nwant at %d %q; %q", tt.expr, e.Offset, e.Message, e.Hint, tt.offset, tt.message, tt.hint)
		}
	}
}

// A chain of comparisons nested in another doubles the work with every level.
func TestNestedChainsAreBounded(t *testing.T) {
	nested := func(levels int) string {
		s := "lr"
		for range levels {
			s = "(1 < " + s + " < 2 ? lr : bs)"
		}
		return s + " > 0"
	}
	if _, err := Where(sweep(), nested(5)); err != nil {
		t.Error(err)
	}
	var e *ExprError
	if _, err := Where(sweep(), nested(90)); !errors.As(err, &e) || e.Message != "the expression is too complicated" {
		t.Errorf("90 levels: %v", err)
	}
	if _, err := CompileFormula("x*"+strings.TrimSuffix(nested(90), " > 0"), nil); !errors.As(err, &e) || e.Message != "the expression is too complicated" {
		t.Errorf("90 levels in a formula: %v", err)
	}
}

func TestExprErrorShowsThePlace(t *testing.T) {
	_, err := Where(sweep(), "η < 1 && `smooth loss` < 4Q")
	want := "column 27: \"4Q\" is not a number; suffixes are K, M, B and T, and products are written with *\n" +
		"  η < 1 && `smooth loss` < 4Q\n" +
		"                           ^^"
	if err == nil || err.Error() != want {
		t.Errorf("got\n%v\nwant\n%s", err, want)
	}
	_, err = Where(sweep(), strings.Repeat("lr > 0 && ", 30)+"los < 3"+strings.Repeat(" && lr > 0", 30))
	lines := strings.Split(err.Error(), "\n")
	if len(lines) != 3 || len([]rune(lines[1])) > 90 || strings.Index(lines[2], "^^^") != len("  ")+41 {
		t.Errorf("a long expression is shown as\n%v", err)
	}
}

func TestWhereKeepsWhatItDoesNotFilter(t *testing.T) {
	tb := sweep()
	tb.Source, tb.Notes = "x.csv", []string{"a note"}
	tb, err := Assign(tb, nil)
	if err != nil {
		t.Fatal(err)
	}
	got, err := Where(tb, "bs == 64")
	if err != nil {
		t.Fatal(err)
	}
	if got.Source != "x.csv" || len(got.Notes) != len(tb.Notes) || got.Roles[RoleLoss].Column != "smooth loss" || got.Rows != 3 || tb.Rows != 5 {
		t.Errorf("got %+v", got)
	}
	none, err := Where(got, "bs == 32")
	if err != nil || none.Rows != 0 || none.Column("opt").Len() != 0 {
		t.Errorf("none: %+v, %v", none, err)
	}
}

// A name is a column of just that name before it is a role, and a role before it
// is a column that differs in case.
func TestNamesInExpressions(t *testing.T) {
	tb := tableOf(numbers("n", 7), numbers("params", 1e9), numbers("loss", 1), numbers("val_loss", 2))
	tb, err := Assign(tb, nil)
	if err != nil {
		t.Fatal(err)
	}
	got, err := Derive(tb, "x", "N + loss*10")
	if err != nil {
		t.Fatal(err)
	}
	if v := got.Column("x").Value(0); v != 1e9+10 {
		t.Errorf("N + loss*10 = %v", v)
	}
	if math.IsNaN(got.Column("n").Value(0)) {
		t.Error("n was changed")
	}
}
