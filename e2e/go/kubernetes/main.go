// Command kubernetes is kube-apiserver, kube-controller-manager and kube-scheduler in one
// file, chosen by the name that it is called by. One file because the three share most of
// their code: it is compiled either way, but linked and stored once.
//
// Each case is what upstream's own main does (k8s.io/kubernetes/cmd/NAME in v1.37.2),
// with the same blank imports.
package main

import (
	"fmt"
	"os"
	"path/filepath"
	_ "time/tzdata"

	"github.com/spf13/cobra"
	"k8s.io/component-base/cli"
	_ "k8s.io/component-base/logs/json/register"
	_ "k8s.io/component-base/metrics/prometheus/clientgo"
	_ "k8s.io/component-base/metrics/prometheus/version"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	controllermanager "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
)

func main() {
	name := filepath.Base(os.Args[0])
	var command *cobra.Command
	switch name {
	case "kube-apiserver":
		command = apiserver.NewAPIServerCommand()
	case "kube-controller-manager":
		command = controllermanager.NewControllerManagerCommand()
	case "kube-scheduler":
		command = scheduler.NewSchedulerCommand()
	default:
		fmt.Fprintf(os.Stderr, "unknown program %q: call this file as kube-apiserver, "+
			"kube-controller-manager or kube-scheduler (through a link of that name)\n", name)
		os.Exit(2)
	}
	os.Exit(cli.Run(command))
}
