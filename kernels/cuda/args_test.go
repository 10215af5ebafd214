package cuda

import (
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/etastar/etastar/kernels/cuda/driver"
)

// structs are the arguments under the names that source/args.h gives them.
var structs = map[string]any{
	"Ref": ref{}, "EmbedArgs": embedArgs{}, "TokenIndexArgs": tokenIndexArgs{}, "EmbedGradArgs": embedGradArgs{},
	"RMSNormArgs": rmsNormArgs{}, "RMSNormGradArgs": rmsNormGradArgs{}, "SwiGLUArgs": swiGLUArgs{}, "SwiGLUGradArgs": swiGLUGradArgs{},
	"QKNormRopeArgs": qkNormRopeArgs{}, "QKNormRopeGradArgs": qkNormRopeGradArgs{}, "AttentionArgs": attentionArgs{},
	"AttentionGradArgs": attentionGradArgs{}, "GemmArgs": gemmArgs{}, "GroupGemmArgs": groupGemmArgs{},
	"GroupGemmGradArgs": groupGemmGradArgs{}, "CrossEntropyArgs": crossEntropyArgs{}, "RouteArgs": routeArgs{},
	"RouteGradArgs": routeGradArgs{}, "DispatchArgs": dispatchArgs{}, "CombineArgs": combineArgs{}, "CombineGradArgs": combineGradArgs{},
	"Tensor": tensor{}, "Chunk": chunk{}, "GradNormArgs": gradNormArgs{}, "AdamWArgs": adamWArgs{}, "TensorMap": driver.Map{},
	"GemmMapArgs": gemmMapArgs{}, "GemmSwiGLUArgs": gemmSwiGLUArgs{}, "GemmSwiGLUGradArgs": gemmSwiGLUGradArgs{}, "GroupGemmMapArgs": groupGemmMapArgs{}, "GroupGemmGradMapArgs": groupGemmGradMapArgs{}, "CopyArgs": copyArgs{}, "CopyEachArgs": copyEachArgs{}, "BlendArgs": blendArgs{}, "ZeroArgs": zeroArgs{}, "SumArgs": sumArgs{}, "StatsArgs": statsArgs{}, "StatsEachArgs": statsEachArgs{}, "LogArgs": logArgs{},
}

// TestArguments lets the compiler of the kernels compare its structs with those of Go.
func TestArguments(t *testing.T) {
	compiler, err := exec.LookPath("clang++-19")
	if err != nil {
		t.Skip("clang++-19, which compiles the kernels, is not installed")
	}
	header, err := os.ReadFile("source/args.h")
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	path, err := filepath.Abs("source/args.h")
	check(t, err)
	fmt.Fprintf(&b, "#include %q\n", path)
	for name, v := range structs {
		s := reflect.TypeOf(v)
		fmt.Fprintf(&b, "static_assert(sizeof(%s) == %d, \"size of %s\");\n", name, s.Size(), name)
		for i := 0; s.Kind() == reflect.Struct && i < s.NumField(); i++ {
			f := s.Field(i)
			if f.Name == "_" {
				continue
			}
			fmt.Fprintf(&b, "static_assert(__builtin_offsetof(%s, %s) == %d, \"%s.%s\");\n", name, f.Name, f.Offset, name, f.Name)
		}
	}
	for _, line := range strings.Split(string(header), "\n") {
		if name, ok := strings.CutPrefix(line, "struct "); ok {
			name = strings.TrimPrefix(strings.TrimSuffix(name, " {"), "alignas(64) ")
			if structs[name] == nil && name != "FillArgs" { // which no operation needs
				t.Errorf("there is no %s in Go", name)
			}
		}
	}
	source := filepath.Join(t.TempDir(), "args.cc")
	if err := os.WriteFile(source, []byte(b.String()), 0o666); err != nil {
		t.Fatal(err)
	}
	if said, err := exec.Command(compiler, "-std=c++17", "-fsyntax-only", source).CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, said)
	}
}

// TestArgumentSizes holds where there is no compiler: the sizes that TestArguments found
// right where there is one.
func TestArgumentSizes(t *testing.T) {
	if math.MaxInt == math.MaxInt32 {
		t.Skip("the device's pointers have 64 bits")
	}
	for name, want := range map[string]uintptr{
		"EmbedArgs": 72, "TokenIndexArgs": 40, "RMSNormGradArgs": 152, "AttentionArgs": 128, "GemmArgs": 120, "GemmMapArgs": 512,
		"GroupGemmMapArgs": 384, "GroupGemmGradMapArgs": 384, "RouteArgs": 168, "Tensor": 48, "Chunk": 16, "AdamWArgs": 96, "StatsArgs": 72,
	} {
		if got := reflect.TypeOf(structs[name]).Size(); got != want {
			t.Errorf("%s has %d bytes, want %d", name, got, want)
		}
	}
}
