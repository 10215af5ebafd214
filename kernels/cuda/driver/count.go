package driver

// Count is the number of devices that the driver offers, without taking a context on
// any. Without a driver or a device it is an error for which [Missing] holds.
func Count(folders ...string) (int, error) {
	a, err := loadAPI(folders)
	if err != nil {
		return 0, err
	}
	if err := a.start(); err != nil {
		return 0, err
	}
	n, err := a.count()
	if err == nil && n == 0 {
		err = noDevice()
	}
	return n, err
}
