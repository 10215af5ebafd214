package importers

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
)

// maxLine bounds the lines of a log that are looked at. Longer ones, which some
// library dumped, hold no step; they are passed over in pieces.
const maxLine = 1 << 20

// logLines cuts the log of a program into lines. A carriage return ends a line
// too, because progress bars write over themselves with it, but only a line feed
// counts; terminal escapes are removed.
type logLines struct {
	in    *window
	line  int  // of the last line returned, from 1
	ended bool // the last line returned had its end
	long  int  // lines passed over
	first int  // the first of them

	count   int // line feeds so far
	feed    int // where the next line feed stands in in.rest(), -1 if not known
	free    int // this many bytes of in.rest() hold none
	passing bool
	plain   []byte
}

func newLogLines(in *window) *logLines {
	in.binary = true // a hole in a log, after a crash, costs its line only
	return &logLines{in: in, feed: -1}
}

// next returns the next line, which is valid until the next call; io.EOF at the
// end.
func (l *logLines) next() ([]byte, error) {
	for {
		b := l.in.rest()
		if l.feed < 0 {
			if l.feed = bytes.IndexByte(b[l.free:], '\n'); l.feed >= 0 {
				l.feed += l.free
			} else {
				l.free = len(b)
			}
		}
		end := l.feed
		if end < 0 {
			end = len(b)
		}
		line := b[:end]
		n := min(end+1, len(b))
		l.ended = l.feed >= 0
		if i := bytes.IndexByte(line, '\r'); i >= 0 {
			line, n, l.ended = line[:i], i+1, true
		}
		if !l.ended && !l.in.eof {
			if len(b) > maxLine {
				l.skip(len(b))
				l.passing = true
			}
			if err := l.in.more(l.count + 1); err != nil {
				return nil, err
			}
			continue
		}
		if n == 0 && !l.passing {
			return nil, io.EOF
		}
		l.line = l.count + 1
		if n == end+1 {
			l.count++
		}
		l.skip(n)
		if l.passing || len(line) > maxLine {
			l.passing = false
			if l.long++; l.long == 1 {
				l.first = l.line
			}
			continue
		}
		if bytes.IndexByte(line, 0x1b) >= 0 {
			l.plain = stripEscapes(l.plain[:0], line)
			line = l.plain
		}
		return line, nil
	}
}

func (l *logLines) skip(n int) {
	l.in.skip(n)
	l.free = max(0, l.free-n)
	if l.feed -= n; l.feed < 0 {
		l.feed = -1
	}
}

// stripEscapes appends line to to without the control sequences of ECMA-48:
// colours, cursor movements, titles.
func stripEscapes(to, line []byte) []byte {
	for {
		i := bytes.IndexByte(line, 0x1b)
		if i < 0 {
			return append(to, line...)
		}
		to = append(to, line[:i]...)
		line = line[i+1:]
		if len(line) == 0 {
			return to
		}
		kind := line[0]
		line = line[1:]
		switch kind {
		case '[':
			for len(line) > 0 && (line[0] < 0x40 || line[0] > 0x7e) {
				line = line[1:]
			}
		case ']':
			for len(line) > 0 && line[0] != 0x07 && line[0] != 0x1b {
				line = line[1:]
			}
			if len(line) > 0 && line[0] == 0x1b {
				continue // its terminator is an escape of its own
			}
		default:
			continue
		}
		if len(line) > 0 {
			line = line[1:]
		}
	}
}

// logFormat is how a program writes its log.
type logFormat struct {
	name    string
	example string // a line that holds a step, for errors
	// step reports whether a line holds a step, without more work than that takes.
	step func(line []byte) bool
	// read takes what it can from a line into the series.
	read func(s *series, line []byte)
	// notes, which may be nil, notes what the settings say.
	notes func(s *series)
}

// logFormats are those whose steps may come after any amount of other output.
var logFormats = []logFormat{megatronLog, nanoGPTLog, llmcLog, moddedLog}

// buried finds the format of a log whose head says nothing by its first line
// that holds a step.
func buried(ctx context.Context, path string) (name string, err error) {
	f, err := openFile(ctx, path, nil)
	if err != nil {
		return "", err
	}
	defer f.close()
	lines := newLogLines(f.window(chunkSize))
	for {
		line, err := lines.next()
		if errors.Is(err, io.EOF) {
			return "", nil
		} else if err != nil {
			return "", err
		}
		for _, l := range logFormats {
			if l.step(line) {
				return l.name, nil
			}
		}
	}
}

// launched begins lines that launchers write before the steps of a log. Lines
// with a time, "2024-05-01 10:00:00,180", are no comma-separated table.
var launched = regexp.MustCompile(`(?m)^(\[20\d\d-\d\d-\d\d [0-9:,]+\] \[(INFO|WARNING)\] |Setting OMP_NUM_THREADS environment variable |using world size: |-+ arguments -+$)`)

// choose finds the format of the job's file.
func (j *job) choose(ctx context.Context, head []byte) (format, error) {
	chosen, err := choose(head, j.path, j.opts.Format)
	if j.opts.Format != "" || err == nil && (chosen.name != "csv" && chosen.name != "tsv" || !launched.Match(head)) {
		return chosen, err
	}
	if name, _ := buried(ctx, j.path); name != "" {
		return choose(nil, j.path, name)
	}
	return chosen, err
}

// sniff says how many of the lines of a head hold a step.
func (l *logFormat) sniff(head []byte) int {
	steps, whole := 0, len(head) < headSize
	var plain []byte
	for line := range bytes.FieldsFuncSeq(head, func(r rune) bool { return r == '\n' || r == '\r' }) {
		if bytes.IndexByte(line, 0x1b) >= 0 {
			plain = stripEscapes(plain[:0], line)
			line = plain
		}
		if l.step(line) {
			steps++
		}
	}
	switch {
	case steps > 1:
		return 92
	case steps == 1 && whole:
		return 70
	}
	return 0
}

// scan reads a log: a row for each step.
func (l *logFormat) scan(j *job) error {
	s := newSeries(j)
	lines := newLogLines(j.in)
	var damage error
	for !s.full {
		line, err := lines.next()
		if errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			damage = err
			break
		}
		if !lines.ended {
			// A line being written, or cut off within a number.
			if l.step(line) {
				s.note("line %d: the last line is not complete and left out", lines.line)
			}
			break
		}
		s.line = lines.line
		l.read(s, line)
	}
	if lines.long > 0 {
		s.note("%s longer than %d MiB left out (the first is line %d)", plural(lines.long, "line"), maxLine>>20, lines.first)
	}
	if s.rows == 0 && damage != nil {
		return damage
	}
	if s.rows == 0 {
		return fmt.Errorf("lines 1 to %d: no step is logged: a %s log has lines such as %q", max(1, lines.count), l.name, l.example)
	}
	if l.notes != nil {
		l.notes(s)
	}
	s.finish()
	return damage
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// leadingNumeral reads a number at the start of b and returns what follows it: in
// 12.5ms that is ms.
func leadingNumeral(b []byte) (v float64, rest []byte, ok bool) {
	n := 0
	for n < len(b) && (b[n]-'0' < 10 || b[n] == '.' || b[n] == '-' || b[n] == '+' ||
		(b[n] == 'e' || b[n] == 'E') && n > 0 && b[n-1]-'0' < 10) {
		n++
	}
	if v, _, ok := parseDecimal(b[:n]); ok {
		return v, b[n:], true
	}
	for _, word := range [...]string{"nan", "-inf", "inf"} {
		if len(b) >= len(word) && bytes.EqualFold(b[:len(word)], []byte(word)) {
			v, _ := parseWord(b[:len(word)])
			return v, b[len(word):], true
		}
	}
	return 0, nil, false
}

// leadingDigits reads a step, a whole number below 2^53, at the start of b.
func leadingDigits(b []byte) (step float64, rest []byte, ok bool) {
	n := 0
	for n < len(b) && b[n]-'0' < 10 {
		n++
	}
	if n == 0 || n > 15 {
		return 0, nil, false
	}
	step, _, _ = parseDecimal(b[:n])
	return step, b[n:], true
}

// product reads a literal of a Python program that is a number or a product of
// whole numbers: 0.0036, 600_000, 8*64.
func product(b []byte) (string, bool) {
	if i := bytes.IndexByte(b, '#'); i >= 0 {
		b = b[:i]
	}
	b = bytes.TrimRight(bytes.TrimSpace(bytes.ReplaceAll(b, []byte{'_'}, nil)), ",")
	if _, _, ok := parseDecimal(b); ok {
		return string(b), true
	}
	v := 1.0
	for part := range bytes.SplitSeq(b, []byte{'*'}) {
		f, s, ok := parseDecimal(bytes.TrimSpace(part))
		if v *= f; !ok || s != styleInteger || v >= 1<<53 {
			return "", false
		}
	}
	return fmt.Sprintf("%.0f", v), true
}

// assignment reads a line of a Python program such as
//
//	learning_rate : float = 0.0036 # peak
//
// if its name is one of names.
func assignment(line []byte, names []string) (name, value string, ok bool) {
	left, right, ok := bytes.Cut(line, []byte{'='})
	if !ok || len(left) > 80 {
		return "", "", false
	}
	left, _, _ = bytes.Cut(left, []byte{':'})
	left = bytes.TrimSpace(left)
	i := slices.IndexFunc(names, func(n string) bool { return n == string(left) })
	if i < 0 {
		return "", "", false
	}
	value, ok = product(right)
	return names[i], value, ok
}
