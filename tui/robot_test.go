package tui

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"

	"github.com/etastar/etastar/session"
)

// The robot language: one order a line, in testdata/robot/*.txt.
//
//	size W H          the screen
//	notebook … end    the notebook, up to the line "end" (a synthetic sweep lies beside it)
//	key K …           keys as Bubble Tea names them (down, shift+left, ctrl+y, space)
//	type TEXT         characters
//	paste TEXT        a bracketed paste
//	click X Y         a click
//	click on TEXT     a click on the first place where TEXT stands
//	wheel up|down
//	see TEXT          the screen shows it; \n in TEXT is a line break
//	not TEXT          it does not
//	doc TEXT          the document holds it
//	nodoc TEXT        it does not
//	focus NAME        that cell is in focus
//	last TEXT         the last line of the screen holds it
//	tick              the mark of what moved has gone
//	disk TEXT         the file is replaced on disk, and the disk is looked at
//	quits             the last key left
//	show              prints the screen, for writing scripts
type robot struct {
	t     *testing.T
	s     *session.Session
	m     *Model
	w, h  int
	quit  bool
	where string
}

func TestRobot(t *testing.T) {
	files, err := filepath.Glob("testdata/robot/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("no scripts", err)
	}
	for _, f := range files {
		t.Run(strings.TrimSuffix(filepath.Base(f), ".txt"), func(t *testing.T) { runScript(t, f) })
	}
}

func runScript(t *testing.T, file string) {
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	r := &robot{t: t, w: 80, h: 24}
	sc := bufio.NewScanner(strings.NewReader(string(text)))
	for n := 1; sc.Scan(); n++ {
		line := strings.TrimRight(sc.Text(), " ")
		r.where = fmt.Sprintf("%s:%d: %s", file, n, line)
		word, rest, _ := strings.Cut(line, " ")
		if word == "" || strings.HasPrefix(word, "#") {
			continue
		}
		if word == "notebook" {
			var doc strings.Builder
			for sc.Scan() {
				n++
				if sc.Text() == "end" {
					break
				}
				doc.WriteString(sc.Text() + "\n")
			}
			r.open(doc.String())
			continue
		}
		r.order(word, rest)
		if t.Failed() {
			return
		}
	}
}

func (r *robot) open(doc string) {
	if doc == "" {
		doc = syntheticText
	}
	r.s = openNotebook(r.t, doc)
	r.m = newScreen(r.t, r.s, r.w, r.h)
	r.m.View()
}

func (r *robot) fail(format string, args ...any) {
	r.t.Helper()
	r.t.Errorf("%s\n%s\n%s", r.where, fmt.Sprintf(format, args...), emulated(r.m))
}

func (r *robot) order(word, rest string) {
	r.t.Helper()
	text := strings.ReplaceAll(rest, `\n`, "\n")
	switch word {
	case "size":
		if _, err := fmt.Sscan(rest, &r.w, &r.h); err != nil {
			r.fail("%v", err)
		}
		if r.m != nil {
			r.send(tea.WindowSizeMsg{Width: r.w, Height: r.h})
		}
	case "key":
		for _, k := range strings.Fields(rest) {
			r.send(keyPress(k))
		}
	case "type":
		for _, c := range rest {
			r.send(tea.KeyPressMsg{Code: c, Text: string(c)})
		}
	case "paste":
		r.send(tea.PasteMsg{Content: text})
	case "click":
		r.click(rest)
	case "wheel":
		b := tea.MouseWheelDown
		if rest == "up" {
			b = tea.MouseWheelUp
		}
		r.send(tea.MouseWheelMsg{Button: b, Y: 5})
	case "tick":
		r.send(quietMsg{r.m.movedGen})
	case "disk":
		r.disk(text)
	case "show":
		fmt.Println(r.where + "\n" + emulated(r.m))
	default:
		r.expect(word, text)
	}
}

func (r *robot) click(rest string) {
	var x, y int
	if on, ok := strings.CutPrefix(rest, "on "); ok {
		for i, l := range strings.Split(emulated(r.m), "\n") {
			if at := strings.Index(l, on); at >= 0 {
				x, y = width(l[:at]), i
				r.send(tea.MouseClickMsg{X: x, Y: y, Button: tea.MouseLeft})
				return
			}
		}
		r.fail("not on the screen: %s", on)
		return
	}
	if _, err := fmt.Sscan(rest, &x, &y); err != nil {
		r.fail("%v", err)
	}
	r.send(tea.MouseClickMsg{X: x, Y: y, Button: tea.MouseLeft})
}

func (r *robot) disk(text string) {
	path := r.s.File().Path
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		r.fail("%v", err)
	}
	later := time.Now().Add(5 * time.Second)
	_ = os.Chtimes(path, later, later)
	r.s.Poll()
	r.settle()
}

func (r *robot) expect(word, text string) {
	r.t.Helper()
	screen := emulated(r.m)
	switch word {
	case "see":
		if !strings.Contains(screen, text) {
			r.fail("not on the screen")
		}
	case "not":
		if strings.Contains(screen, text) {
			r.fail("on the screen")
		}
	case "last":
		lines := strings.Split(strings.TrimRight(screen, "\n"), "\n")
		if !strings.Contains(lines[len(lines)-1], text) {
			r.fail("not on the last line")
		}
	case "doc":
		if !strings.Contains(r.s.Text(), text) {
			r.fail("not in the document:\n%s", r.s.Text())
		}
	case "nodoc":
		if strings.Contains(r.s.Text(), text) {
			r.fail("in the document:\n%s", r.s.Text())
		}
	case "focus":
		if c := r.m.focused(); c == nil && text != "prose" || c != nil && c.Name != text {
			r.fail("the focus is elsewhere: %v", r.m.focusedLine())
		}
	case "quits":
		if !r.quit {
			r.fail("it stays")
		}
	default:
		r.fail("no such order")
	}
}

// send delivers a message and lets the session come to rest, as a patient person would.
func (r *robot) send(msg tea.Msg) {
	_, cmd := r.m.Update(msg)
	r.quit = r.m.quitting
	_ = cmd // timers and waits: the robot needs neither
	r.m.View()
	r.settle()
}

func (r *robot) settle() {
	if !r.s.Wait(20 * time.Second) {
		r.fail("the notebook does not come to rest")
	}
	r.m.Update(changedMsg{})
}

// keyPress makes a key of its name.
func keyPress(name string) tea.KeyPressMsg {
	var k tea.KeyPressMsg
	rest := name
	for {
		mod, after, ok := strings.Cut(rest, "+")
		if !ok || after == "" {
			break
		}
		switch mod {
		case "ctrl":
			k.Mod |= tea.ModCtrl
		case "alt":
			k.Mod |= tea.ModAlt
		case "shift":
			k.Mod |= tea.ModShift
		}
		rest = after
	}
	codes := map[string]rune{
		"up": tea.KeyUp, "down": tea.KeyDown, "left": tea.KeyLeft, "right": tea.KeyRight, "enter": tea.KeyEnter,
		"esc": tea.KeyEscape, "tab": tea.KeyTab, "space": tea.KeySpace, "backspace": tea.KeyBackspace, "delete": tea.KeyDelete,
		"home": tea.KeyHome, "end": tea.KeyEnd, "pgup": tea.KeyPgUp, "pgdown": tea.KeyPgDown,
	}
	if c, ok := codes[rest]; ok {
		k.Code = c
		if rest == "space" {
			k.Text = " "
		}
		return k
	}
	r, err := strconv.Unquote("'" + rest + "'")
	if err != nil {
		r = rest
	}
	k.Code = []rune(r)[0]
	if k.Mod == 0 {
		k.Text = r
	}
	return k
}
