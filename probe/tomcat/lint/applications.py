"""Web applications: whether Tomcat gives them a manager that replicates (``StandardContext.startInternal``)."""

from collections.abc import Iterator

from probe.tomcat.document import Document, Element
from probe.tomcat.lint import edits
from probe.tomcat.lint.finding import Edit, Finding
from probe.tomcat.lint.node import HA, Node

_DISTRIBUTABLE = "<distributable/>"
_LATER = ("session-config", "welcome-file-list", "error-page", "context-param", "filter", "listener", "servlet")
"""Elements of web.xml before which ``distributable`` may stand in every version of its schema."""


def check_web_xml(document: Document) -> Iterator[Finding]:
    """Yield a finding if an application's web.xml does not ask for replication."""
    root = document.root
    names = {child.tag.rpartition(":")[2] for child in root.children}
    reader = Node(document)
    if root.tag.rpartition(":")[2] not in ("web-app", "web-fragment"):
        yield reader.finding(
            "element-unknown", root, f"{root.tag} is no web-app: is it a web.xml?", severity="warning"
        )
    elif "distributable" not in names:
        yield reader.finding(
            "not-distributable",
            root,
            "no <distributable/>: the application's sessions stay on their node",
            effect="StandardManager instead of the cluster's; nothing above DEBUG is logged",
            remedy='<distributable/> in web.xml, or distributable="true" in its <Context>',
            correction=_DISTRIBUTABLE,
            edits=[_insertion(root)],
            is_safe=not root.is_empty,
        )


def _insertion(root: Element) -> Edit:
    """Put the element where every version of the schema takes it: after display-name and description."""
    head = [
        child for child in root.children if child.tag in ("icon", "module-name", "display-name", "description")
    ]
    last = head[-1] if head else None
    if last is not None:
        return edits.after(last, _DISTRIBUTABLE)
    if root.children:
        return edits.before(root.children[0], _DISTRIBUTABLE)
    return Edit(root.open_end, root.open_end, _DISTRIBUTABLE.encode())


def check(node: Node) -> Iterator[Finding]:
    """Yield what each <Context> of a server.xml with a cluster has against replication."""
    if not node.clusters:
        return
    for context in node.document.root.walk():
        if context.tag != "Context":
            continue
        if (node.text(context, "distributable") or "").lower() == "false":
            yield node.finding(
                "not-distributable",
                context,
                'distributable="false": the application\'s sessions stay on their node',
                at="distributable",
                effect="StandardManager instead of the cluster's; nothing above DEBUG is logged",
                remedy='distributable="true", or take it out and let web.xml say it',
                edits=[edits.set_value(context, "distributable", "true")],
            )
        manager = context.first("Manager")
        if manager is not None and not node.class_name(manager).startswith(f"{HA}session."):
            kind = node.class_name(manager).rpartition(".")[2] or "StandardManager"
            yield node.finding(
                "context-manager",
                manager,
                f"a Manager of its own, {kind}, that does not replicate",
                effect="the Context's sessions are not the cluster's; 6.0 logs: does not implement ClusterManager",
                remedy="take it out, or name one of org.apache.catalina.ha.session",
                correction="<!-- nothing -->",
                edits=[edits.drop(manager)],
            )
