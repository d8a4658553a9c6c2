import { Component, type ComponentChildren } from "preact";
import { Failed } from "../views/states/view";

interface Props {
  children: ComponentChildren;
}

/** Shows an error of a page in place of the page, so that header and navigation stay. */
export class Boundary extends Component<Props, { error: Error | null }> {
  override state = { error: null as Error | null };

  static override getDerivedStateFromError(error: unknown) {
    return { error: error instanceof Error ? error : new Error(String(error)) };
  }

  override componentDidCatch(error: unknown) {
    console.error(error);
  }

  override render() {
    if (this.state.error) return <Failed error={this.state.error} />;
    return this.props.children;
  }
}
