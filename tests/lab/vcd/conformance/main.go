// Copyright (c) 2026 the cloudexit.flexible_engine contributors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

// Conformance walks the lab's Cloud Director with VMware's own client, which knows nothing of the lab: what this
// program can do there, it can do with a real one. The same source is built against both lines of the client (the
// build replaces v3 by v2 in the imports).
package main

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/vmware/go-vcloud-director/v3/govcd"
	"github.com/vmware/go-vcloud-director/v3/types/v56"
)

const (
	catalogName  = "conformance"
	templateName = "machine"
	vappName     = "conformance-app"
	netName      = "conformance-net"
	isolatedName = "conformance-isolated"
)

type walk struct {
	client   *govcd.VCDClient
	org      *govcd.Org
	adminOrg *govcd.AdminOrg
	vdc      *govcd.Vdc
	group    *govcd.VdcGroup
	edge     *govcd.NsxtEdgeGateway
	catalog  *govcd.Catalog
	template *govcd.VAppTemplate
	network  *govcd.OpenApiOrgVdcNetwork
	isolated *govcd.OpenApiOrgVdcNetwork
	vapp     *govcd.VApp
	vm       *govcd.VM
	ipSet    *govcd.NsxtFirewallGroup
	members  *govcd.NsxtFirewallGroup
	profile  *govcd.NsxtAppPortProfile
	public   string
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func want(ok bool, words string, values ...any) {
	if !ok {
		panic(fmt.Errorf(words, values...))
	}
}

func wait(task govcd.Task, err error) {
	must(err)
	must(task.WaitTaskCompletion())
}

func ptr[T any](value T) *T { return &value }

func env(name string) string {
	value := os.Getenv(name)
	if value == "" {
		fmt.Fprintf(os.Stderr, "%s is not set\n", name)
		os.Exit(2)
	}
	return value
}

func main() {
	w := &walk{public: os.Getenv("VCD_PUBLIC_IP")}
	steps := []struct {
		name string
		do   func()
	}{
		{"login", w.login}, {"token", w.token}, {"organisation and VDC", w.places}, {"storage profiles", w.profiles},
		{"catalog", w.makeCatalog}, {"upload", w.upload}, {"bad upload", w.badUpload}, {"routed network", w.routed},
		{"isolated network", w.isolatedNet}, {"DHCP", w.dhcp}, {"vApp", w.makeVapp}, {"VM from template", w.fromTemplate},
		{"hardware", w.hardware}, {"NICs", w.nics}, {"customisation", w.customise}, {"metadata", w.metadata},
		{"power", w.power}, {"snapshot", w.snapshot}, {"empty VM", w.emptyVM}, {"standalone VM", w.standalone},
		{"named disk", w.disk}, {"instantiate", w.instantiate}, {"IP sets and groups", w.groups},
		{"port profile", w.ports}, {"edge firewall", w.edgeFirewall}, {"distributed firewall", w.distributed},
		{"NAT", w.nat}, {"static route", w.route}, {"load balancer", w.alb}, {"queries", w.queries}, {"errors", w.errors},
		{"tidy", w.tidy},
	}
	for _, step := range steps {
		begun := time.Now()
		func() {
			defer func() {
				if problem := recover(); problem != nil {
					fmt.Printf("FAILED %s: %v\n", step.name, problem)
					os.Exit(1)
				}
			}()
			step.do()
		}()
		fmt.Printf("ok %s %.2fs\n", step.name, time.Since(begun).Seconds())
	}
}

func (w *walk) login() {
	address, err := url.ParseRequestURI(env("VCD_URL") + "/api")
	must(err)
	wrong := govcd.NewVCDClient(*address, true)
	want(wrong.Authenticate(env("VCD_USER"), "wrong", env("VCD_ORG")) != nil, "a wrong password was taken")
	w.client = govcd.NewVCDClient(*address, true)
	must(w.client.Authenticate(env("VCD_USER"), env("VCD_PASSWORD"), env("VCD_ORG")))
	highest, err := w.client.Client.MaxSupportedVersion()
	must(err)
	want(highest == "39.1", "the highest version is %s", highest)
}

func (w *walk) token() {
	address, err := url.ParseRequestURI(env("VCD_URL") + "/api")
	must(err)
	other := govcd.NewVCDClient(*address, true)
	_, err = other.SetApiToken(env("VCD_ORG"), env("VCD_API_TOKEN"))
	must(err)
	_, err = other.GetOrgByName(env("VCD_ORG"))
	must(err)
	must(other.Disconnect())
	_, err = other.GetOrgByName(env("VCD_ORG"))
	want(err != nil, "a session that was closed still works")
}

func (w *walk) places() {
	var err error
	w.org, err = w.client.GetOrgByName(env("VCD_ORG"))
	must(err)
	w.adminOrg, err = w.client.GetAdminOrgByName(env("VCD_ORG"))
	must(err)
	w.vdc, err = w.org.GetVDCByName(env("VCD_VDC"), true)
	must(err)
	want(w.vdc.IsNsxt(), "the VDC is not of NSX-T")
	_, err = w.org.GetVDCByName("there-is-none", true)
	want(govcd.ContainsNotFound(err), "a VDC that is not there: %v", err)
	byID, err := w.org.GetVDCById(w.vdc.Vdc.ID, true)
	must(err)
	want(byID.Vdc.Name == w.vdc.Vdc.Name, "another VDC by id")
	versions := w.vdc.Vdc.Capabilities[0].SupportedHardwareVersions.SupportedHardwareVersion
	want(len(versions) > 3, "hardware versions: %v", versions)
	w.group, err = w.adminOrg.GetVdcGroupByName(env("VCD_GROUP"))
	must(err)
	w.edge, err = w.group.GetNsxtEdgeGatewayByName(env("VCD_EDGE"))
	must(err)
	_, err = w.org.GetNsxtEdgeGatewayByName(env("VCD_EDGE"))
	must(err)
	want(w.edge.EdgeGateway.GatewayBacking.GatewayType == "NSXT_BACKED", "gateway type")
	meta, err := w.vdc.GetMetadata()
	must(err)
	want(len(meta.MetadataEntry) >= 4, "metadata of the VDC: %v", meta.MetadataEntry)
}

func (w *walk) profiles() {
	reference, err := w.vdc.FindStorageProfileReference("gold")
	must(err)
	profile, err := w.client.Client.GetStorageProfileByHref(reference.HREF)
	must(err)
	want(profile.Limit > 0 && profile.Units == "MB", "storage profile: %+v", profile)
}

func (w *walk) makeCatalog() {
	created, err := w.org.CreateCatalog(catalogName, "made by the conformance <program> & its client")
	must(err)
	want(created.Catalog.Name == catalogName, "name of the catalog")
	w.catalog, err = w.org.GetCatalogByName(catalogName, true)
	must(err)
	_, err = w.org.CreateCatalog(catalogName, "")
	want(err != nil && strings.Contains(err.Error(), "already exists"), "a second catalog of the name: %v", err)
}

func (w *walk) upload() {
	task, err := w.catalog.UploadOvf(env("VCD_OVF"), templateName, "a machine", 1<<20)
	must(err)
	must(task.WaitTaskCompletion())
	want(task.GetUploadError() == nil, "upload: %v", task.GetUploadError())
	w.catalog, err = w.org.GetCatalogByName(catalogName, true)
	must(err)
	w.template, err = w.catalog.GetVAppTemplateByName(templateName)
	must(err)
	want(w.template.VAppTemplate.Status == 8, "status %d", w.template.VAppTemplate.Status)
	want(len(w.template.VAppTemplate.Children.VM) == 1, "VMs in the template")
	_, err = w.catalog.UploadOvf(env("VCD_OVF"), templateName, "again", 1<<20)
	want(err != nil, "a second template of the name")
}

func (w *walk) badUpload() {
	_, err := w.catalog.UploadOvf(filepath.Join(filepath.Dir(env("VCD_OVF")), "bad.ovf"), "bad", "hardware too new", 1<<20)
	want(err != nil && strings.Contains(err.Error(), "vmx-99"), "a descriptor with vmx-99: %v", err)
	w.catalog, err = w.org.GetCatalogByName(catalogName, true)
	must(err)
	left, err := w.catalog.GetCatalogItemByName("bad", true)
	if err == nil {
		must(left.Delete())
	}
}

func subnet(gateway, first, last string) types.OrgVdcNetworkSubnets {
	return types.OrgVdcNetworkSubnets{Values: []types.OrgVdcNetworkSubnetValues{{
		Gateway: gateway, PrefixLength: 24, DNSServer1: "10.10.0.2", DNSSuffix: "acme.example",
		IPRanges: types.OrgVdcNetworkSubnetIPRanges{Values: []types.OpenApiIPRangeValues{{StartAddress: first, EndAddress: last}}},
	}}}
}

func (w *walk) routed() {
	config := &types.OpenApiOrgVdcNetwork{
		Name: netName, Description: "routed", OwnerRef: &types.OpenApiReference{ID: w.group.VdcGroup.Id},
		NetworkType: types.OrgVdcNetworkTypeRouted,
		Connection:  &types.Connection{RouterRef: types.OpenApiReference{ID: w.edge.EdgeGateway.ID}, ConnectionType: "INTERNAL"},
		Subnets:     subnet("10.90.1.1", "10.90.1.10", "10.90.1.50"),
	}
	var err error
	w.network, err = w.group.CreateOpenApiOrgVdcNetwork(config)
	must(err)
	got, err := w.group.GetOpenApiOrgVdcNetworkByName(netName)
	must(err)
	want(got.OpenApiOrgVdcNetwork.ID == w.network.OpenApiOrgVdcNetwork.ID, "the network by name")
	got.OpenApiOrgVdcNetwork.Description = "routed, changed"
	_, err = got.Update(got.OpenApiOrgVdcNetwork)
	must(err)
}

func (w *walk) isolatedNet() {
	config := &types.OpenApiOrgVdcNetwork{
		Name: isolatedName, OwnerRef: &types.OpenApiReference{ID: w.vdc.Vdc.ID}, NetworkType: types.OrgVdcNetworkTypeIsolated,
		Subnets: subnet("10.90.2.1", "10.90.2.10", "10.90.2.50"),
	}
	var err error
	w.isolated, err = w.vdc.CreateOpenApiOrgVdcNetwork(config)
	must(err)
	_, err = w.vdc.CreateOpenApiOrgVdcNetwork(config)
	want(err != nil, "a second network of the name")
}

func (w *walk) dhcp() {
	config := &types.OpenApiOrgVdcNetworkDhcp{
		Enabled: ptr(true), Mode: "EDGE", LeaseTime: ptr(86400),
		DhcpPools: []types.OpenApiOrgVdcNetworkDhcpPools{{Enabled: ptr(true),
			IPRange: types.OpenApiOrgVdcNetworkDhcpIpRange{StartAddress: "10.90.1.100", EndAddress: "10.90.1.120"}}},
		DnsServers: []string{"10.10.0.2"},
	}
	_, err := w.network.UpdateDhcp(config)
	must(err)
	got, err := w.network.GetOpenApiOrgVdcNetworkDhcp()
	must(err)
	want(len(got.OpenApiOrgVdcNetworkDhcp.DhcpPools) == 1, "DHCP pools")
	made, err := w.network.CreateOpenApiOrgVdcNetworkDhcpBinding(&types.OpenApiOrgVdcNetworkDhcpBinding{
		Name: "fixed", BindingType: types.NsxtDhcpBindingTypeIpv4, MacAddress: "00:50:56:01:02:03", IpAddress: "10.90.1.101",
		LeaseTime: ptr(3600), DhcpV4BindingConfig: &types.DhcpV4BindingConfig{HostName: "fixed"},
	})
	must(err)
	must(made.Delete())
}

func (w *walk) makeVapp() {
	must(w.vdc.Refresh())
	vapp, err := w.vdc.CreateRawVApp(vappName, "the conformance program's")
	must(err)
	w.vapp = vapp
	network, err := w.vdc.GetOrgVdcNetworkByName(netName, true)
	must(err)
	_, err = vapp.AddOrgNetwork(&govcd.VappNetworkSettings{Name: netName}, network.OrgVDCNetwork, false)
	must(err)
	config, err := vapp.GetNetworkConfig()
	must(err)
	want(len(config.NetworkConfig) == 1 && config.NetworkConfig[0].Configuration.FenceMode == "bridged", "networks of the vApp: %+v", config)
	must(vapp.RenewLease(0, 0))
	lease, err := vapp.GetLease()
	must(err)
	want(lease.DeploymentLeaseInSeconds == 0 && lease.StorageLeaseInSeconds == 0, "lease %+v", lease)
	must(vapp.UpdateNameDescription(vappName, "changed"))
}

func (w *walk) fromTemplate() {
	profile, err := w.vdc.FindStorageProfileReference("silver")
	must(err)
	section := &types.NetworkConnectionSection{PrimaryNetworkConnectionIndex: 0, NetworkConnection: []*types.NetworkConnection{{
		Network: netName, NetworkConnectionIndex: 0, IsConnected: true, IPAddressAllocationMode: types.IPAllocationModeManual,
		IPAddress: "10.90.1.33", NetworkAdapterType: "VMXNET3", MACAddress: "fa:16:3e:01:02:03",
	}}}
	wait(w.vapp.AddNewVMWithStorageProfile("web", *w.template, section, &profile, true))
	w.vm, err = w.vapp.GetVMByName("web", true)
	must(err)
	vm := w.vm.VM
	want(vm.StorageProfile.Name == "silver", "storage profile %v", vm.StorageProfile)
	nic := vm.NetworkConnectionSection.NetworkConnection[0]
	want(nic.IPAddress == "10.90.1.33" && strings.EqualFold(nic.MACAddress, "fa:16:3e:01:02:03"), "NIC %+v", nic)
	spec := vm.VmSpecSection
	want(len(spec.DiskSection.DiskSettings) == 2, "%d disks", len(spec.DiskSection.DiskSettings))
	want(spec.DiskSection.DiskSettings[0].AdapterType == "5", "adapter %s", spec.DiskSection.DiskSettings[0].AdapterType)
	want(*spec.NumCpus == 2 && spec.MemoryResourceMb.Configured == 256, "CPUs %d, memory %d", *spec.NumCpus, spec.MemoryResourceMb.Configured)
}

func (w *walk) hardware() {
	must(w.vm.ChangeCPUAndCoreCount(ptr(4), ptr(2)))
	must(w.vm.ChangeMemory(512))
	must(w.vm.Refresh())
	want(*w.vm.VM.VmSpecSection.NumCpus == 4 && w.vm.VM.VmSpecSection.MemoryResourceMb.Configured == 512, "hardware did not change")
	id, err := w.vm.AddInternalDisk(&types.DiskSettings{SizeMb: 20, UnitNumber: 3, BusNumber: 0, AdapterType: "5", ThinProvisioned: ptr(true),
		VirtualQuantityUnit: "byte", StorageProfile: w.vm.VM.StorageProfile, OverrideVmDefault: true})
	must(err)
	found, err := w.vm.GetInternalDiskById(id, true)
	must(err)
	want(found.SizeMb == 20 && found.UnitNumber == 3, "disk %+v", found)
	must(w.vm.DeleteInternalDisk(id))
	_, err = w.vm.UpdateVmSpecSection(w.vm.VM.VmSpecSection, "a description")
	must(err)
	_, err = w.vm.UpdateVmCpuAndMemoryHotAdd(true, true)
	must(err)
	_, err = w.vm.UpdateBootOptions(&types.BootOptions{BootDelay: ptr(100), EnterBiosSetup: ptr(false)})
	must(err)
}

func (w *walk) nics() {
	section, err := w.vm.GetNetworkConnectionSection()
	must(err)
	section.NetworkConnection = append(section.NetworkConnection, &types.NetworkConnection{Network: "none", NetworkConnectionIndex: 1,
		IPAddressAllocationMode: types.IPAllocationModeNone, NetworkAdapterType: "E1000E"})
	must(w.vm.UpdateNetworkConnectionSection(section))
	section, err = w.vm.GetNetworkConnectionSection()
	must(err)
	want(len(section.NetworkConnection) == 2, "%d NICs", len(section.NetworkConnection))
}

func (w *walk) customise() {
	section, err := w.vm.GetGuestCustomizationSection()
	must(err)
	section.Enabled = ptr(false)
	section.ComputerName = "web"
	section, err = w.vm.SetGuestCustomizationSection(section)
	must(err)
	want(section.ComputerName == "web" && !*section.Enabled, "customisation %+v", section)
}

func (w *walk) metadata() {
	must(w.vm.AddMetadataEntryWithVisibility("cloudexit.source_id", "a<b>&c", types.MetadataStringValue, types.MetadataReadWriteVisibility, false))
	must(w.vapp.AddMetadataEntryWithVisibility("number", "42", types.MetadataNumberValue, types.MetadataReadWriteVisibility, false))
	value, err := w.vm.GetMetadataByKey("cloudexit.source_id", false)
	must(err)
	want(value.TypedValue.Value == "a<b>&c", "value %q", value.TypedValue.Value)
	all, err := w.vapp.GetMetadata()
	must(err)
	want(len(all.MetadataEntry) == 1 && all.MetadataEntry[0].TypedValue.XsiType == "MetadataNumberValue", "metadata %+v", all.MetadataEntry)
	must(w.vapp.DeleteMetadataEntryWithDomain("number", false))
	must(w.template.AddMetadataEntryWithVisibility("kept", "yes", types.MetadataStringValue, types.MetadataReadWriteVisibility, false))
}

func (w *walk) power() {
	wait(w.vm.PowerOn())
	status, err := w.vm.GetStatus()
	must(err)
	want(status == "POWERED_ON", "status %s", status)
	must(w.vapp.Refresh())
	_, err = w.vapp.Delete()
	want(err != nil, "a vApp that runs was deleted")
	wait(w.vm.PowerOff())
	deployed, err := w.vm.IsDeployed()
	must(err)
	want(deployed, "a VM that was only powered off is not deployed")
	wait(w.vm.Undeploy())
	deployed, err = w.vm.IsDeployed()
	must(err)
	want(!deployed, "deployed after undeploy")
}

func (w *walk) snapshot() {
	wait(w.vm.ConsolidateDisksAsync())
}

func (w *walk) emptyVM() {
	must(w.vapp.Refresh())
	vm, err := w.vapp.AddEmptyVm(&types.RecomposeVAppParamsForEmptyVm{CreateItem: &types.CreateItem{
		Name: "empty", Description: "without disks",
		GuestCustomizationSection: &types.GuestCustomizationSection{Info: "Specifies Guest OS Customization Settings", ComputerName: "empty"},
		NetworkConnectionSection:  &types.NetworkConnectionSection{},
		VmSpecSection: &types.VmSpecSection{Modified: ptr(true), Info: "Virtual Machine specification", OsType: "debian12_64Guest",
			Firmware: "efi", NumCpus: ptr(1), NumCoresPerSocket: ptr(1), CpuResourceMhz: &types.CpuResourceMhz{Configured: 1},
			MemoryResourceMb: &types.MemoryResourceMb{Configured: 128}, HardwareVersion: &types.HardwareVersion{Value: "vmx-19"},
			VmToolsVersion: "", VirtualCpuType: "VM64", DiskSection: &types.DiskSection{DiskSettings: []*types.DiskSettings{{
				AdapterType: "5", SizeMb: 16, BusNumber: 0, UnitNumber: 0, ThinProvisioned: ptr(true)}}}},
	}, AllEULAsAccepted: true})
	must(err)
	must(w.vapp.RemoveVM(*vm))
}

func (w *walk) standalone() {
	params := &types.CreateVmParams{XmlnsOvf: types.XMLNamespaceOVF, Xmlns: types.XMLNamespaceVCloud, Name: "alone", PowerOn: false, Description: "standalone", CreateVm: &types.Vm{
		Name: "alone",
		VmSpecSection: &types.VmSpecSection{Modified: ptr(true), Info: "Virtual Machine specification", OsType: "debian12_64Guest",
			NumCpus: ptr(1), NumCoresPerSocket: ptr(1), CpuResourceMhz: &types.CpuResourceMhz{Configured: 0},
			MemoryResourceMb: &types.MemoryResourceMb{Configured: 128}, HardwareVersion: &types.HardwareVersion{Value: "vmx-19"},
			VirtualCpuType: "VM64"},
		GuestCustomizationSection: &types.GuestCustomizationSection{Info: "Specifies Guest OS Customization Settings", ComputerName: "alone"},
	}}
	vm, err := w.vdc.CreateStandaloneVm(params)
	must(err)
	must(vm.Delete())
}

func (w *walk) disk() {
	profile, err := w.vdc.FindStorageProfileReference("gold")
	must(err)
	task, err := w.vdc.CreateDisk(&types.DiskCreateParams{Disk: &types.Disk{Name: "data", SizeMb: 32, BusType: "6", BusSubType: "VirtualSCSI",
		Description: "named", StorageProfile: &profile}})
	wait(task, err)
	must(w.vdc.Refresh())
	disks, err := w.vdc.GetDisksByName("data", true)
	must(err)
	disk := (*disks)[0]
	must(w.vm.Refresh())
	wait(w.vm.AttachDisk(&types.DiskAttachOrDetachParams{Disk: &types.Reference{HREF: disk.Disk.HREF}}))
	must(disk.Refresh())
	attached, err := disk.AttachedVM()
	must(err)
	want(attached != nil && attached.Name == "web", "attached to %v", attached)
	must(w.vm.Refresh())
	wait(w.vm.DetachDisk(&types.DiskAttachOrDetachParams{Disk: &types.Reference{HREF: disk.Disk.HREF}}))
	must(disk.Refresh())
	wait(disk.Delete())
}

func (w *walk) instantiate() {
	vapp, err := w.vdc.CreateVappFromTemplate(&types.InstantiateVAppTemplateParams{
		Name: "from-template", Deploy: false, PowerOn: false, Description: "whole", AllEULAsAccepted: true,
		InstantiationParams: &types.InstantiationParams{},
		Source:              &types.Reference{HREF: w.template.VAppTemplate.HREF},
	})
	must(err)
	must(vapp.Refresh())
	want(len(vapp.VApp.Children.VM) == 1, "VMs")
	wait(vapp.Undeploy()) // the client deploys what it instantiates
	wait(vapp.Delete())
	_, err = w.vdc.GetVAppByName("from-template", true)
	want(govcd.ContainsNotFound(err), "the vApp is still there: %v", err)
}

func (w *walk) groups() {
	var err error
	w.ipSet, err = w.group.CreateNsxtFirewallGroup(&types.NsxtFirewallGroup{Name: "web-set", Description: "ours", OwnerRef: &types.OpenApiReference{ID: w.group.VdcGroup.Id},
		IpAddresses: []string{"10.90.1.33", "10.90.1.0/28", "10.90.1.5-10.90.1.9", "2001:db8::/64"}, Type: types.FirewallGroupTypeIpSet})
	must(err)
	w.members, err = w.group.CreateNsxtFirewallGroup(&types.NsxtFirewallGroup{Name: "web-net", OwnerRef: &types.OpenApiReference{ID: w.group.VdcGroup.Id},
		Members: []types.OpenApiReference{{ID: w.network.OpenApiOrgVdcNetwork.ID}}, Type: types.FirewallGroupTypeSecurityGroup})
	must(err)
	vms, err := w.members.GetAssociatedVms()
	must(err)
	want(len(vms) == 1, "%d associated VMs", len(vms))
	found, err := w.group.GetNsxtFirewallGroupByName("web-set", types.FirewallGroupTypeIpSet)
	must(err)
	want(found.NsxtFirewallGroup.ID == w.ipSet.NsxtFirewallGroup.ID, "the IP set by name")
	config := *w.ipSet.NsxtFirewallGroup
	config.IpAddresses = []string{"10.90.1.33"}
	_, err = w.ipSet.Update(&config)
	must(err)
}

func (w *walk) ports() {
	var err error
	w.profile, err = w.org.CreateNsxtAppPortProfile(&types.NsxtAppPortProfile{Name: "web-ports", Description: "ours",
		ApplicationPorts: []types.NsxtAppPortProfilePort{{Protocol: "TCP", DestinationPorts: []string{"8080", "9000-9100"}}},
		OrgRef:           &types.OpenApiReference{ID: w.org.Org.ID}, ContextEntityId: w.group.VdcGroup.Id, Scope: types.ApplicationPortProfileScopeTenant})
	must(err)
	_, err = w.org.GetNsxtAppPortProfileByName("HTTPS", types.ApplicationPortProfileScopeSystem)
	must(err)
	found, err := w.group.GetNsxtAppPortProfileByName("web-ports", types.ApplicationPortProfileScopeTenant)
	must(err)
	want(found.NsxtAppPortProfile.ID == w.profile.NsxtAppPortProfile.ID, "the profile by name")
}

func (w *walk) edgeFirewall() {
	rules := []*types.NsxtFirewallRule{
		{Name: "in", ActionValue: "ALLOW", Enabled: true, Direction: "IN_OUT", IpProtocol: "IPV4",
			DestinationFirewallGroups: []types.OpenApiReference{{ID: w.ipSet.NsxtFirewallGroup.ID}},
			ApplicationPortProfiles:   []types.OpenApiReference{{ID: w.profile.NsxtAppPortProfile.ID}}},
		{Name: "out", ActionValue: "ALLOW", Enabled: true, Direction: "OUT", IpProtocol: "IPV4_IPV6",
			SourceFirewallGroups: []types.OpenApiReference{{ID: w.ipSet.NsxtFirewallGroup.ID}}},
	}
	made, err := w.edge.UpdateNsxtFirewall(&types.NsxtFirewallRuleContainer{UserDefinedRules: rules})
	must(err)
	got := made.NsxtFirewallRuleContainer.UserDefinedRules
	want(len(got) == 2 && got[0].Name == "in" && got[1].Name == "out", "rules %+v", got)
	err = w.ipSet.Delete()
	want(err != nil, "an IP set in use was deleted")
	must(made.DeleteRuleById(got[0].ID))
	left, err := w.edge.GetNsxtFirewall()
	must(err)
	want(len(left.NsxtFirewallRuleContainer.UserDefinedRules) == 1, "rules after one was deleted")
	must(left.DeleteAllRules())
}

func (w *walk) distributed() {
	before, err := w.group.GetDistributedFirewall()
	must(err)
	rules := before.DistributedFirewallRuleContainer.Values
	mine := &types.DistributedFirewallRule{Name: "web", ActionValue: "ALLOW", Enabled: true, Direction: "IN_OUT", IpProtocol: "IPV4",
		DestinationFirewallGroups: []types.OpenApiReference{{ID: w.members.NsxtFirewallGroup.ID}}, Comments: "from sg-1"}
	after, err := w.group.UpdateDistributedFirewall(&types.DistributedFirewallRules{Values: append([]*types.DistributedFirewallRule{mine}, rules...)})
	must(err)
	want(len(after.DistributedFirewallRuleContainer.Values) == len(rules)+1, "distributed rules")
	want(after.DistributedFirewallRuleContainer.Values[0].Comments == "from sg-1", "comments")
	_, err = w.group.UpdateDistributedFirewall(&types.DistributedFirewallRules{Values: rules})
	must(err)
}

func (w *walk) nat() {
	if w.public == "" {
		return
	}
	dnat, err := w.edge.CreateNatRule(&types.NsxtNatRule{Name: "web-in", Description: "ours", Enabled: true, Type: types.NsxtNatRuleTypeDnat,
		ExternalAddresses: w.public, InternalAddresses: "10.90.1.33", DnatExternalPort: "8080",
		ApplicationPortProfile: &types.OpenApiReference{ID: w.profile.NsxtAppPortProfile.ID, Name: "web-ports"}})
	must(err)
	snat, err := w.edge.CreateNatRule(&types.NsxtNatRule{Name: "out", Enabled: true, Type: types.NsxtNatRuleTypeSnat, ExternalAddresses: w.public,
		InternalAddresses: "10.90.1.0/24"})
	must(err)
	changed := *dnat.NsxtNatRule
	changed.Description = "changed"
	updated, err := dnat.Update(&changed)
	must(err)
	want(updated.NsxtNatRule.Description == "changed", "the NAT rule did not change")
	_, err = dnat.Update(&changed)
	want(err != nil, "an old version was taken")
	used, err := w.edge.GetUsedIpAddresses(nil)
	must(err)
	want(len(used) == 1, "used addresses %v", used)
	must(updated.Delete())
	must(snat.Delete())
	_, err = w.edge.CreateNatRule(&types.NsxtNatRule{Name: "foreign", Enabled: true, Type: types.NsxtNatRuleTypeSnat, ExternalAddresses: "192.0.2.99",
		InternalAddresses: "10.90.1.0/24"})
	want(err != nil, "an address that is not the edge's was taken")
}

func (w *walk) route() {
	made, err := w.edge.CreateStaticRoute(&types.NsxtEdgeGatewayStaticRoute{Name: "back", NetworkCidr: "10.200.0.0/16",
		NextHops: []types.NsxtEdgeGatewayStaticRouteNextHops{{IPAddress: "10.90.1.200", AdminDistance: 1}}})
	must(err)
	made.NsxtEdgeGatewayStaticRoute.Description = "changed"
	_, err = made.Update(made.NsxtEdgeGatewayStaticRoute)
	must(err)
	must(made.Delete())
}

func (w *walk) alb() {
	pool, err := w.client.CreateNsxtAlbPool(&types.NsxtAlbPool{Name: "pool", GatewayRef: types.OpenApiReference{ID: w.edge.EdgeGateway.ID}, Enabled: ptr(true),
		Algorithm: "ROUND_ROBIN", DefaultPort: ptr(80), Members: []types.NsxtAlbPoolMember{{Enabled: true, IpAddress: "10.90.1.33", Port: 80, Ratio: ptr(1)}}})
	must(err)
	groups, err := w.client.GetFilteredAlbServiceEngineGroupAssignmentByName("seg-lab", url.Values{"filter": []string{"gatewayRef.id==" + w.edge.EdgeGateway.ID}})
	must(err)
	service, err := w.client.CreateNsxtAlbVirtualService(&types.NsxtAlbVirtualService{Name: "service", Enabled: ptr(true),
		ApplicationProfile: types.NsxtAlbVirtualServiceApplicationProfile{SystemDefined: true, Type: "HTTP"},
		GatewayRef:         types.OpenApiReference{ID: w.edge.EdgeGateway.ID}, LoadBalancerPoolRef: types.OpenApiReference{ID: pool.NsxtAlbPool.ID},
		ServiceEngineGroupRef: *groups.NsxtAlbServiceEngineGroupAssignment.ServiceEngineGroupRef, VirtualIpAddress: "10.90.1.250",
		ServicePorts: []types.NsxtAlbVirtualServicePort{{PortStart: ptr(80), SslEnabled: ptr(false),
			TcpUdpProfile: &types.NsxtAlbVirtualServicePortTcpUdpProfile{SystemDefined: true, Type: "TCP_PROXY"}}}})
	must(err)
	must(service.Delete())
	must(pool.Delete())
}

func (w *walk) queries() {
	vms, err := w.vdc.QueryVmList(types.VmQueryFilterOnlyDeployed)
	must(err)
	want(len(vms) == 1 && vms[0].Name == "web", "VMs %v", vms)
	template, err := w.vdc.QueryVappTemplateWithName(templateName)
	must(err)
	want(template.Status == "RESOLVED", "status of the template %s", template.Status)
	catalogs, err := w.org.QueryCatalogList()
	must(err)
	want(len(catalogs) == 1, "%d catalogs", len(catalogs))
	used, err := w.client.Client.QueryVappList()
	must(err)
	want(len(used) == 1, "%d vApps", len(used))
}

func (w *walk) errors() {
	_, err := w.client.Client.GetVMByHref(env("VCD_URL") + "/api/vApp/vm-00000000-0000-4000-8000-000000000009")
	want(err != nil && strings.Contains(err.Error(), "403"), "a VM that is not there: %v", err)
	_, err = w.group.GetOpenApiOrgVdcNetworkById("urn:vcloud:network:00000000-0000-4000-8000-000000000009")
	want(err != nil, "a network that is not there")
	_, err = w.vdc.CreateRawVApp(vappName, "again")
	want(err != nil && strings.Contains(err.Error(), "already exists"), "a second vApp of the name: %v", err)
	err = w.network.Delete()
	want(err != nil && strings.Contains(err.Error(), "in use"), "a network in use: %v", err)
}

func (w *walk) tidy() {
	must(w.vapp.Refresh())
	wait(w.vapp.Delete())
	must(w.members.Delete())
	must(w.ipSet.Delete())
	must(w.profile.Delete())
	must(w.network.Delete())
	must(w.isolated.Delete())
	must(w.template.Delete())
	catalog, err := w.org.GetCatalogByName(catalogName, true)
	must(err)
	must(catalog.Delete(true, true))
	must(w.client.Disconnect())
}
