package cuda

import (
	"errors"
	"fmt"

	"github.com/etastar/etastar/kernels"
	"github.com/etastar/etastar/kernels/cuda/driver"
)

// Options choose the device. The zero value takes the first.
type Options struct {
	// Device is the ordinal, counted as CUDA_VISIBLE_DEVICES leaves them.
	Device int
	// Folders are where libcuda is looked for, instead of the usual places.
	Folders []string
	// NoGraphs launches every kernel by itself, which finds the one that fails.
	NoGraphs bool
	// InOrder lets no kernel work beside another.
	InOrder bool
	// Portable leaves out the kernels for one generation of cards, which are faster there.
	Portable bool
	// OwnProducts leaves out cuBLASLt, which large products go to where it is found and
	// there are no kernels for the card's generation.
	OwnProducts bool
}

// Backend implements [kernels.Backend] on one GPU. It holds the device until Close.
type Backend struct {
	device  *driver.Device
	options Options
	kernels map[string]kernel
	code    *code // belongs to the device's thread
	blas    *products
}

var _ kernels.Backend = (*Backend)(nil)

// Compute capabilities: the oldest that the kernels run on, Ampere's, and the one whose
// own kernels there are.
const (
	oldest = 8
	hopper = 9
)

// New opens the device. [driver.Missing] tells apart that there is none from an error.
func New(o Options) (*Backend, error) {
	images, err := loadImages()
	if err != nil {
		return nil, fmt.Errorf("cuda backend: %w", err)
	}
	d, err := driver.Open(o.Device, o.Folders...)
	if err != nil {
		return nil, fmt.Errorf("cuda backend: %w", err)
	}
	if d.Info.Major < oldest {
		d.Close()
		return nil, fmt.Errorf("cuda backend: device %d, %s, has compute capability %d.%d; at least %d.0 is needed",
			o.Device, d.Info.Name, d.Info.Major, d.Info.Minor, oldest)
	}
	b := &Backend{device: d, options: o, kernels: images.kernels(), code: newCode(images)}
	err = d.Do(func(c *driver.Context) error {
		if !b.hopper() && !o.OwnProducts {
			b.blas = openProducts(c)
		}
		return nil
	})
	if err != nil {
		d.Close()
		return nil, fmt.Errorf("cuda backend: %w", err)
	}
	return b, nil
}

// Name is cuda/, the device and its architecture, such as cuda/NVIDIA H200/sm_90.
func (b *Backend) Name() string {
	name := "cuda/" + b.device.Info.Name + "/" + b.device.Info.Arch()
	if b.options.Portable && b.device.Info.Major == hopper {
		name += "/portable"
	}
	if b.blas != nil {
		name += "/cublasLt " + driver.BLASVersion(b.blas.lt.Version)
	}
	return name
}

// hopper reports whether the kernels of sm_90a are used.
func (b *Backend) hopper() bool { return b.device.Info.Major == hopper && !b.options.Portable }

// Info describes the device.
func (b *Backend) Info() driver.Info { return b.device.Info }

// Free is the device memory that is free now, in bytes.
func (b *Backend) Free() (int64, error) {
	var free int64
	err := b.device.Do(func(c *driver.Context) (err error) {
		free, _, err = c.MemInfo()
		return err
	})
	return free, err
}

// Bytes predicts what Load allocates on the device. For copies, stagingBytes there and as
// much page-locked host memory come on top.
func (b *Backend) Bytes(runs int, programs ...*kernels.Program) (int64, error) {
	c, _, err := compileAll(b.target(), runs, programs)
	if err != nil {
		return 0, fmt.Errorf("cuda backend: %w", err)
	}
	return c.layout.bytes(), nil
}

func (b *Backend) target() target {
	return target{kernels: b.kernels, sms: b.device.Info.SMs, hopper: b.hopper(), blas: b.blas != nil, inOrder: b.options.InOrder}
}

// Load allocates the memory of the runs, zeroed.
func (b *Backend) Load(runs int, programs ...*kernels.Program) (kernels.Machine, error) {
	c, sized, err := compileAll(b.target(), runs, programs)
	if err != nil {
		return nil, fmt.Errorf("cuda backend: %w", err)
	}
	m, err := newMachine(b, c, sized)
	if err != nil {
		return nil, fmt.Errorf("cuda backend: %w", err)
	}
	return m, nil
}

// Close gives the device back. Machines must have been closed before.
func (b *Backend) Close() error {
	err := b.device.Do(func(c *driver.Context) error { return errors.Join(b.code.unload(c), b.blas.close()) })
	b.device.Close()
	return err
}

// code is what has been loaded onto the device.
type code struct {
	images    images
	modules   map[string]driver.Module // a kernel each
	functions map[string]loaded
}

type loaded struct {
	f      driver.Function
	shared int // bytes that its blocks may ask for
}

func newCode(i images) *code {
	return &code{images: i, modules: map[string]driver.Module{}, functions: map[string]loaded{}}
}

// function loads a kernel when it is first needed.
func (l *code) function(c *driver.Context, name string, shared int) (driver.Function, error) {
	if f, ok := l.functions[name]; ok && f.shared >= shared {
		return f.f, nil
	}
	m, ok := l.modules[name]
	if !ok {
		var err error
		if m, err = c.LoadPTX(name, l.images[name]); err != nil {
			return 0, err
		}
		l.modules[name] = m
	}
	f, err := c.Function(m, name, shared)
	if err == nil {
		l.functions[name] = loaded{f, shared}
	}
	return f, err
}

func (l *code) unload(c *driver.Context) error {
	var errs []error
	for _, m := range l.modules {
		errs = append(errs, c.Unload(m))
	}
	clear(l.modules)
	clear(l.functions)
	return errors.Join(errs...)
}
