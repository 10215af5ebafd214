package export

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
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
document.title = seen.join("|");`
	sum := sha256.Sum256([]byte(driver))
	driven := strings.Replace(page, "script-src '", "script-src 'sha256-"+base64.StdEncoding.EncodeToString(sum[:])+"' '", 1)
	driven = strings.Replace(driven, "</body>", "<script>"+driver+"</script></body>", 1)
	title := regexp.MustCompile(`(?s)<title>(.*?)</title>`).FindStringSubmatch(rendered(t, driven))[1]
	seen := strings.Split(title, "|")
	if len(seen) != 7 {
		t.Fatalf("the page's title is %q", title)
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
