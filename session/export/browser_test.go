package export

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"html"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/etastar/etastar/session"
	"github.com/etastar/etastar/trainer/config"
)

// browser is a Chromium, where there is one.
func browser(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	t.Skip("needs Chromium")
	return ""
}

// rendered is the document as a browser has it once its scripts ran.
func rendered(t *testing.T, page string) string {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, "page.html")
	if err := os.WriteFile(path, []byte(page), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), browser(t), "--headless", "--no-sandbox", "--disable-gpu", "--user-data-dir="+filepath.Join(dir, "profile"),
		"--virtual-time-budget=2000", "--dump-dom", "file://"+path)
	var out, complaints bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &complaints
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v: %s", err, complaints.String())
	}
	return out.String()
}

// drive runs a script on a page, allowed by its hash, and returns the parts of the title
// that it sets.
func drive(t *testing.T, page, script string) []string {
	t.Helper()
	sum := sha256.Sum256([]byte(script))
	driven := strings.Replace(page, "script-src '", "script-src 'sha256-"+base64.StdEncoding.EncodeToString(sum[:])+"' '", 1)
	driven = strings.Replace(driven, "</body>", "<script>"+script+"</script></body>", 1)
	title := regexp.MustCompile(`(?s)<title>(.*?)</title>`).FindStringSubmatch(rendered(t, driven))[1]
	return strings.Split(title, "¦")
}

// The page works in a real browser: its script runs under its own policy, the pictures
// zoom and move, and a script of someone else does not run.
func TestPageInBrowser(t *testing.T) {
	s := open(t, "testdata/sweep.md")
	page := string(render(t, func(b *bytes.Buffer) error { return HTML(b, s) }))
	dom := rendered(t, page)
	if got := strings.Count(dom, `<div class="zoom">`); got != 10 {
		t.Errorf("%d of 10 pictures have buttons", got)
	}
	const driver = `
const svg = document.querySelector("figure svg");
const button = (label) => document.querySelector("figure button[title='" + label + "']");
const seen = [svg.getAttribute("viewBox")];
button("zoom in").click(); seen.push(svg.getAttribute("viewBox"));
svg.dispatchEvent(new PointerEvent("pointerdown", {clientX: 100, clientY: 100, pointerId: 1}));
seen.push(String(svg.closest("figure").classList.contains("zoomed")));
button("zoom out").click(); button("zoom out").click(); seen.push(svg.getAttribute("viewBox"));
svg.dispatchEvent(new WheelEvent("wheel", {deltaY: -1, clientX: 200, clientY: 200, cancelable: true})); seen.push(svg.getAttribute("viewBox"));
svg.dispatchEvent(new WheelEvent("wheel", {deltaY: -1, ctrlKey: true, clientX: 200, clientY: 200, cancelable: true})); seen.push(svg.getAttribute("viewBox"));
button("show all").click(); seen.push(svg.getAttribute("viewBox"));
document.title = seen.join("¦");`
	seen := drive(t, page, driver)
	if len(seen) != 7 {
		t.Fatalf("the page says %q", seen)
	}
	whole, zoomed := seen[0], seen[1]
	if zoomed == whole || seen[2] != "true" || seen[3] != whole || seen[4] != whole || seen[5] == whole || seen[6] != whole {
		t.Errorf("view boxes %q", seen)
	}
	// Not allowed by its hash, the same script changes nothing.
	refused := rendered(t, strings.Replace(page, "</body>", "<script>"+driver+"</script></body>", 1))
	if strings.Contains(refused, "<title>"+whole) {
		t.Error("a script that the page does not name ran")
	}
}

// pointer points at the circles of a picture and walks over them with the keyboard; what
// is said each time is in the title.
const pointer = `
const svg = document.querySelectorAll("figure svg")[PICTURE], figure = svg.closest("figure"), tip = figure.querySelector(".tip");
const said = () => tip.hidden ? "nothing" : tip.textContent;
const over = (circle, aside) => {
  const m = circle.getScreenCTM(), x = circle.cx.baseVal.value, y = circle.cy.baseVal.value;
  svg.dispatchEvent(new PointerEvent("pointermove", {clientX: m.a * x + m.e + aside, clientY: m.d * y + m.f}));
  return said();
};
const key = (name) => { svg.dispatchEvent(new KeyboardEvent("keydown", {key: name, cancelable: true})); return said(); };
const circles = svg.querySelectorAll("circle"), seen = [said(), String(circles.length), String(svg.querySelectorAll("circle title").length)];
seen.push(over(circles[0], 0), over(circles[2], 0));
seen.push(over(circles[0], -1000));
svg.focus(); seen.push(String(document.activeElement === svg));
seen.push(key("ArrowRight"), key("ArrowRight"), key("Home"), key("ArrowLeft"), key("End"), key("Escape"));
figure.querySelector("button[title='zoom in']").click();
seen.push(over(circles[2], 0), key("Home"));
const at = circles[0].cx.baseVal.value, box = svg.getAttribute("viewBox").split(" ").map(Number);
seen.push(String(at >= box[0] && box[0] + box[2] >= at));
svg.blur(); seen.push(said());
key("End");
seen.push(String(figure.getBoundingClientRect().right + 1 >= tip.getBoundingClientRect().right));
document.title = seen.join("¦");`

// Points say their values under the pointer and to the keyboard: of a curve η, loss and
// the cell, of a prediction what an η costs, of a comparison a law's errors, of a loss
// curve its run, tokens and loss.
func TestValuesUnderThePointer(t *testing.T) {
	s := open(t, "testdata/sweep.md")
	page := string(render(t, func(b *bytes.Buffer) error { return HTML(b, s) }))
	var runs []session.SweepRun
	for i, lr := range []float64{1e-3, 1e-2} {
		runs = append(runs, session.SweepRun{
			Config: config.Default(config.Dense(8, 1, 256, 16), lr).For(4096), Dir: "x",
			Tokens: []float64{1000, 2000, 4000}, Losses: []float64{5 + float64(i), 4, 3 + float64(i)},
		})
	}
	var losses bytes.Buffer
	h := &htmlWriter{w: bufio.NewWriter(&losses)}
	h.picture(&session.Cell{Number: 99, Name: "proxies"}, session.Sweep{Runs: runs})
	if err := h.w.Flush(); err != nil {
		t.Fatal(err)
	}
	page = strings.Replace(page, "<footer>", losses.String()+"<footer>", 1)
	pictures := strings.Split(page, "<figure>")[1:]
	check := func(picture, count int, first, second, third, last string) {
		t.Helper()
		got := drive(t, page, strings.Replace(pointer, "PICTURE", strconv.Itoa(picture), 1))
		for i := range got {
			got[i] = html.UnescapeString(got[i])
		}
		want := []string{
			"nothing", strconv.Itoa(count), "0", first, third, "nothing", "true",
			first, second, first, last, last, "nothing", third, first, "true", "nothing", "true",
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	}
	for _, tt := range []struct {
		label       string
		first, last string // what they say
	}{
		{"curves loss", `^η [0-9.e-]+ · loss 2\.5[0-9]{3} · N 100M · D 2B$`, `^η\* > 4\.65e-3 · N 800M · D 32B$`},
		{"law the law", `^η\* = 1\.31e-2 · N 100M · D 2B$`, `^η\* = 4\.32e-3 · Δ ln η \+0\.006 · N 800M · D 8B$`},
		{"target what", `^η [0-9.e-]+ · loss \+9\.9%$`, `^η 1e-3 · loss \+[0-9.]+% · asked about$`},
		{"score errors", `^power · mean loss \+0\.0[0-9]% · 3 cells$`, `^step · largest \|Δ ln η\| 1\.664 · 3 cells · not comparable$`},
	} {
		i := slices.IndexFunc(pictures, func(p string) bool { return strings.Contains(p, `aria-label="`+tt.label) })
		if i < 0 {
			t.Errorf("no picture %q", tt.label)
			continue
		}
		picture, _, _ := strings.Cut(pictures[i], "</figure>")
		var said []string
		for _, m := range regexp.MustCompile(`<title>([^<]*)</title>`).FindAllStringSubmatch(picture, -1) {
			said = append(said, html.UnescapeString(m[1]))
		}
		n := len(said)
		if first, last := regexp.MustCompile(tt.first), regexp.MustCompile(tt.last); !first.MatchString(said[0]) || !last.MatchString(said[n-1]) {
			t.Errorf("%s: points say %q and %q", tt.label, said[0], said[n-1])
		}
		check(i, n, said[0], said[1], said[2], said[n-1])
	}
	check(len(pictures)-1, 6, "η 1e-3 · tokens 1k · loss 5.0000", "η 1e-3 · tokens 2k · loss 4.0000", "η 1e-3 · tokens 4k · loss 3.0000", "η 1e-2 · tokens 4k · loss 4.0000")
}
