package data

import (
	"os"
	"os/exec"
	"path/filepath"
)

// opticks is where the Go toolchain keeps the text its compression tests use.
const opticks = "src/testdata/Isaac.Newton-Opticks.txt"

// FindOpticks returns the path of the English text that the Go toolchain ships, ""
// when there is none. It runs no program: it looks below GOROOT, the toolchain that
// the PATH's go leads to, and where packages put Go.
func FindOpticks() string {
	roots := []string{os.Getenv("GOROOT")}
	if p, err := exec.LookPath("go"); err == nil {
		if p, err := filepath.EvalSymlinks(p); err == nil {
			roots = append(roots, filepath.Dir(filepath.Dir(p)))
		}
	}
	roots = append(roots, "/usr/local/go", "/usr/lib/go", "/usr/lib/golang", "/opt/homebrew/opt/go/libexec", `C:\Program Files\Go`)
	for _, root := range roots {
		if root == "" {
			continue
		}
		path := filepath.Join(root, filepath.FromSlash(opticks))
		// A folder that was trimmed may hold an empty file of that name.
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() && info.Size() > 100_000 {
			return path
		}
	}
	return ""
}
