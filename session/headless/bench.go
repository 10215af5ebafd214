package headless

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/charmbracelet/x/ansi"

	"github.com/etastar/etastar/session/export"
	"github.com/etastar/etastar/session/number"
	"github.com/etastar/etastar/trainer/bench"
)

// Bench measures training speed beside PyTorch's and prints a table, or with JSON a
// line with one bench.Row for each shape and number of runs, as they are measured.
type Bench struct {
	Options  bench.Options
	JSON     bool
	Out, Err io.Writer
}

// Do measures and returns the exit code: Usage for options that make no sense, Failed if
// a row has no speed of ours.
func (b Bench) Do(ctx context.Context) (code int) {
	plan, err := bench.Open(ctx, b.Options)
	if refused := (*bench.Refused)(nil); errors.As(err, &refused) {
		say(b.Err, err.Error())
		return Usage
	}
	if err != nil {
		say(b.Err, err.Error())
		return Environment
	}
	defer func() {
		if err := plan.Close(); err != nil {
			say(b.Err, err.Error())
			code = worse(code, Environment)
		}
	}()
	p := newProgress(b.Err)
	plan.Now = func(what string) {
		if p.w != nil {
			p.put(export.Clean(what))
		}
	}
	if b.JSON {
		for _, note := range plan.Notes {
			say(b.Err, note)
		}
	} else {
		fmt.Fprint(b.Out, benchHead(plan))
	}
	err = plan.Each(ctx, func(r bench.Row) {
		p.clear()
		if r.Rate() == 0 {
			code = worse(code, Failed)
		}
		if !b.JSON {
			fmt.Fprint(b.Out, benchRow(r, plan.Torch != ""))
			return
		}
		if line, err := json.Marshal(r); err == nil {
			fmt.Fprintf(b.Out, "%s\n", line)
		} else {
			say(b.Err, err.Error())
			code = worse(code, Environment)
		}
	})
	p.clear()
	switch {
	case ctx.Err() != nil:
		say(b.Err, "interrupted")
		code = worse(code, Failed)
	case err != nil:
		say(b.Err, err.Error())
		code = worse(code, Environment)
	}
	return code
}

// benchHead says what the table below is about.
func benchHead(p *bench.Plan) string {
	var b strings.Builder
	fmt.Fprint(&b, export.Clean(p.Device))
	if p.Peak > 0 {
		unit := ""
		if p.Cores > 0 {
			unit = " a core"
		}
		fmt.Fprintf(&b, ", peak %sFLOP/s%s (%s)", tera(p.Peak), unit, p.PeakBy)
	}
	if p.Torch != "" {
		fmt.Fprintf(&b, "; %s", export.Clean(p.Torch))
	}
	fmt.Fprintf(&b, "; %s timed after %d\n", number.Plural(p.Steps, "step", "steps"), p.Warmup)
	for _, note := range p.Notes {
		fmt.Fprintln(&b, export.Clean(note))
	}
	about := "Tokens a second are of all runs together"
	if p.Torch != "" {
		about += "; one by one: PyTorch's best single run, run after run"
	}
	fmt.Fprintln(&b, about+".")
	fmt.Fprintln(&b)
	names := make([]string, len(benchColumns))
	for i, c := range benchColumns {
		names[i] = c.name
	}
	return b.String() + benchLine(names, p.Torch != "")
}

// tera writes operations a second: "989 T", "115 G".
func tera(x float64) string {
	if x >= 1e12 {
		return fmt.Sprintf("%.0f T", x/1e12)
	}
	return fmt.Sprintf("%.0f G", x/1e9)
}

// benchColumns have a fixed width, so that rows can be printed as they come.
var benchColumns = []struct {
	name  string
	width int
	left  bool
}{
	{"shape", 8, true},
	{"params", 7, false},
	{"tokens/step", 11, false},
	{"runs", 4, false},
	{"tokens/s", 8, false},
	{"spread", 6, false},
	{"of peak", 7, false},
	{"first step", 10, false},
	{"PyTorch", 8, false},
	{"mode", 15, true},
	{"spread", 6, false},
	{"first step", 10, false},
	{"one by one", 10, false},
	{"ours/best", 9, false},
}

// ownColumns are the first of benchColumns, which do not speak of PyTorch.
const ownColumns = 8

func benchLine(cells []string, peer bool) string {
	columns := benchColumns
	if !peer {
		columns = columns[:ownColumns]
	}
	var b strings.Builder
	for i, c := range columns {
		if i > 0 {
			b.WriteString("  ")
		}
		pad := strings.Repeat(" ", max(0, c.width-ansi.StringWidth(cells[i])))
		if c.left {
			b.WriteString(cells[i] + pad)
		} else {
			b.WriteString(pad + cells[i])
		}
	}
	return strings.TrimRight(b.String(), " ") + "\n"
}

// benchRow writes a row, and below it what went wrong.
func benchRow(r bench.Row, withPeer bool) string {
	known := func(x float64, format func(float64) string) string {
		if x <= 0 {
			return number.Unknown
		}
		return format(x)
	}
	seconds := func(x float64) string {
		if x < 10 {
			return number.Fixed(x, 2) + " s"
		}
		return number.Fixed(x, 1) + " s"
	}
	percent := func(x float64) string { return number.Fixed(100*x, 1) + "%" }
	spread := func(rates []float64, of float64) string {
		if len(rates) < 2 {
			return number.Unknown
		}
		return percent(of)
	}
	peer, _ := r.Peer()
	text := benchLine([]string{
		r.Shape, number.SI(float64(r.Params)), number.Count(int(r.Tokens)), number.Count(r.Runs),
		known(r.Rate(), number.SI), spread(r.Rates, r.Spread()), known(r.Share, percent), known(r.FirstStep, seconds),
		known(peer.Rate(), number.SI), cmp.Or(peer.Mode, number.Unknown), spread(peer.Rates, peer.Spread()), known(peer.FirstStep, seconds),
		known(r.OneByOne, number.SI), known(r.Ratio(), func(x float64) string { return number.Fixed(x, 2) + "×" }),
	}, withPeer)
	if r.Problem != "" {
		text += "  not measured: " + export.Clean(r.Problem) + "\n"
	}
	if r.Accumulate > 1 {
		text += fmt.Sprintf("  in %d micro-batches, for memory\n", r.Accumulate)
	}
	for _, p := range r.Peers {
		if p.Problem != "" {
			text += "  PyTorch, " + p.Mode + ": " + export.Clean(p.Problem) + "\n"
		}
	}
	return text
}
